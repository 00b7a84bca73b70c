/*
 * test_parser.c - what files become, by the real parsers, and what is said of those that cannot be parsed
 */
#include "base/clock.h"
#include "parser_case.h"
#include "pdf_make.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(parser, .init = parser_case_open, .fini = parser_case_close, .timeout = 120);

/* PDF ------------------------------------------------------------------------------------------------------------- */

static const char *hello(int page)
{
    static char text[40];

    snprintf(text, sizeof text, "Hello page %d", page + 1);
    return text;
}

static const char *nothing(int page)
{
    (void)page;
    return "";
}

static int parse_pdf(int pages, const char *(*line)(int), size_t cut)
{
    size_t n;
    char *p = pdf_make(pages, line, &n);
    int rc = parser_parse(SNIFF_PDF, p, n - cut);

    free(p);
    return rc;
}

Test(parser, a_pdf_gives_its_text_with_a_form_feed_a_page)
{
    int rc = parse_pdf(2, hello, 0);

    cr_assert_eq(rc, 0, "%s", pc.err.message);
    cr_assert(pc.result.plain);
    cr_assert_eq(pc.result.pages, 2);
    expect_text(rc, "Hello page 1\n\n\fHello page 2\n\n\f");
}

Test(parser, a_pdf_with_drawings_only_has_no_text)
{
    expect_reason(parse_pdf(2, nothing, 0), "parse_no_text");
}

Test(parser, a_pdf_without_pages_says_so)
{
    expect_reason(parse_pdf(0, nothing, 0), "parse_no_pages");
}

Test(parser, a_pdf_at_the_page_limit_passes_and_one_above_does_not)
{
    cr_assert_eq(parse_pdf(50, hello, 0), 0, "%s", pc.err.message);
    cr_assert_eq(pc.result.pages, 50);
    parse_result_free(&pc.result);
    expect_reason(parse_pdf(51, hello, 0), "too_many_pages");
}

Test(parser, a_cut_pdf_is_corrupt)
{
    expect_reason(parse_pdf(30, hello, 2000), "parse_corrupt");
}

Test(parser, garbage_that_calls_itself_pdf_is_corrupt)
{
    char junk[20000] = "%PDF-1.4\n";

    for (size_t i = 9; i < sizeof junk; i++)
        junk[i] = (char)(i * 7919 >> 3);
    expect_reason(parser_parse(SNIFF_PDF, junk, sizeof junk), "parse_corrupt");
}

Test(parser, an_encrypted_pdf_says_so)
{
    char p[8192];
    int fd = open(TEST_FIXTURES "/encrypted.pdf", O_RDONLY);
    ssize_t n = read(fd, p, sizeof p);

    cr_assert_gt(n, 1000);
    close(fd);
    expect_reason(parser_parse(SNIFF_PDF, p, (size_t)n), "parse_encrypted");
}

/* HTML, Markdown, text -------------------------------------------------------------------------------------------- */

Test(parser, html_becomes_markdown)
{
    static const char page[] = "<h1>Title</h1><p>Words &amp; more.<ul><li>one<li>two</ul>";

    expect_text(parser_parse(SNIFF_HTML, page, sizeof page - 1), "# Title\n\nWords & more.\n\n- one\n- two\n");
}

Test(parser, html_that_is_nested_too_deep_is_told_quickly)
{
    size_t n = 5 * 50000;
    char *p = malloc(n + 1);
    int64_t began = clock_ms();

    for (size_t i = 0; i < n; i += 5)
        memcpy(p + i, "<div>", 5);
    p[n] = 'x';
    expect_reason(parser_parse(SNIFF_HTML, p, n + 1), "parse_too_deep");
    cr_assert_lt(clock_ms() - began, 5000);
    free(p);
}

Test(parser, html_without_text_says_so)
{
    static const char page[] = "<html><body><script>var x = 1;</script><img src=x></body></html>";

    expect_reason(parser_parse(SNIFF_HTML, page, sizeof page - 1), "parse_no_text");
}

Test(parser, markdown_and_text_are_their_bytes)
{
    cr_assert_eq(parser_parse(SNIFF_MARKDOWN, "# A\0b\xff\xff", 7), 0);
    cr_assert_eq(pc.result.len, 7);
    cr_assert_arr_eq(pc.result.text, "# A\0b\xff\xff", 7);
    cr_assert_not(pc.result.plain);
    parse_result_free(&pc.result);
}

Test(parser, text_is_plain)
{
    cr_assert_eq(parser_parse(SNIFF_TEXT, "abc", 3), 0);
    cr_assert(pc.result.plain);
    parse_result_free(&pc.result);
}

Test(parser, utf16_text_is_converted)
{
    expect_text(parser_parse(SNIFF_TEXT, "\xff\xfeG\0r\0\xfc\0\x3d\xd8\x00\xde\x00\xd8", 14),
                "Gr\xc3\xbc\xf0\x9f\x98\x80\xef\xbf\xbd");
    expect_text(parser_parse(SNIFF_TEXT, "\xfe\xff\0A", 4), "A");
}

Test(parser, text_in_windows_1252_is_converted_and_says_so)
{
    cr_assert_eq(parser_parse(SNIFF_TEXT, "caf\xe9 \x80", 6), 0);
    cr_assert_str_eq(pc.result.charset, "windows-1252");
    cr_assert_eq(pc.result.len, 9);
    cr_assert_arr_eq(pc.result.text, "caf\xc3\xa9 \xe2\x82\xac", 9);
    parse_result_free(&pc.result);
    cr_assert_eq(parser_parse(SNIFF_MARKDOWN, "caf\xc3\xa9", 5), 0);
    cr_assert_null(pc.result.charset);
    parse_result_free(&pc.result);
}

Test(parser, blank_text_has_no_text)
{
    expect_reason(parser_parse(SNIFF_TEXT, " \n\t \n", 5), "parse_no_text");
    expect_reason(parser_parse(SNIFF_MARKDOWN, "", 0), "parse_no_text");
}

Test(parser, a_text_that_is_shorter_than_recorded_is_corrupt_not_a_crash)
{
    struct parse_job job = {.type = SNIFF_TEXT, .size = 100000, .fd = memfd_create("doc", MFD_CLOEXEC)};

    cr_assert_eq(write(job.fd, "abc", 3), 3);
    expect_reason(parse_run(&pc.conf, &job, &pc.result, &pc.err), "blob_corrupt");
    close(job.fd);
}

Test(parser, an_unknown_type_is_unsupported)
{
    expect_reason(parser_parse(SNIFF_UNKNOWN, "x", 1), "unsupported_type");
}

/* Office and e-book formats --------------------------------------------------------------------------------------- */

Test(parser, a_docx_gives_its_text)
{
    struct zip_maker z = {0};

    docx_begin(&z);
    zip_add_deflated(&z, "word/document.xml", DOCX_OK, sizeof DOCX_OK - 1, -1);
    expect_text(parser_parse_zip(&z, SNIFF_DOCX, 0), "Hello office\n");
}

Test(parser, an_odt_gives_its_text)
{
    struct zip_maker z = {0};

    zip_add_text(&z, "mimetype", "application/vnd.oasis.opendocument.text");
    zip_add_text(&z, "content.xml",
                 "<?xml version=\"1.0\"?><office:document-content "
                 "xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" "
                 "xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:text>"
                 "<text:p>Hello open</text:p></office:text></office:body></office:document-content>");
    zip_add_text(&z, "styles.xml",
                 "<?xml version=\"1.0\"?><office:document-styles "
                 "xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\"><office:font-face-decls/>"
                 "<office:styles/><office:automatic-styles/></office:document-styles>");
    expect_text(parser_parse_zip(&z, SNIFF_ODT, 0), "Hello open\n");
}

Test(parser, an_epub_gives_its_text_without_raw_html)
{
    struct zip_maker z = {0};

    zip_add_text(&z, "mimetype", "application/epub+zip");
    zip_add_text(&z, "META-INF/container.xml",
                 "<?xml version=\"1.0\"?><container version=\"1.0\" "
                 "xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\"><rootfiles><rootfile full-path=\"c.opf\" "
                 "media-type=\"application/oebps-package+xml\"/></rootfiles></container>");
    zip_add_text(&z, "c.opf",
                 "<?xml version=\"1.0\"?><package xmlns=\"http://www.idpf.org/2007/opf\" version=\"3.0\"><metadata/>"
                 "<manifest><item id=\"a\" href=\"a.xhtml\" media-type=\"application/xhtml+xml\"/></manifest>"
                 "<spine><itemref idref=\"a\"/></spine></package>");
    zip_add_text(&z, "a.xhtml",
                 "<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>t</title></head><body><h1 id=\"x\">One</h1>"
                 "<div class=\"y\"><p>Hello <span class=\"z\">book</span></p></div></body></html>");
    expect_text(parser_parse_zip(&z, SNIFF_EPUB, 0), "# One\n\nHello book\n");
}

Test(parser, a_cut_or_broken_docx_is_corrupt)
{
    struct zip_maker z = {0};

    docx_begin(&z);
    zip_add_text(&z, "word/document.xml", DOCX_OK);
    expect_reason(parser_parse_zip(&z, SNIFF_DOCX, 30), "parse_corrupt");
    docx_begin(&z);
    zip_add_text(&z, "word/document.xml", DOCX_HEAD "<w:p><w:r>");
    expect_reason(parser_parse_zip(&z, SNIFF_DOCX, 0), "parse_corrupt");
    zip_add_text(&z, "word/document.xml", DOCX_OK);
    expect_reason(parser_parse_zip(&z, SNIFF_DOCX, 0), "parse_corrupt");
}

Test(parser, an_encrypted_archive_says_so)
{
    struct zip_maker z = {0};

    docx_begin(&z);
    zip_add_claiming(&z, "word/document.xml", DOCX_OK, sizeof DOCX_OK - 1, sizeof DOCX_OK - 1, 1);
    expect_reason(parser_parse_zip(&z, SNIFF_DOCX, 0), "parse_encrypted");
}

/* A document of n bytes of text; claimed < 0: its directory is honest. */
static int parse_bomb(size_t n, int64_t claimed)
{
    struct zip_maker z = {0};
    static const char head[] = DOCX_HEAD "<w:p><w:r><w:t>", tail[] = "</w:t></w:r></w:p>" DOCX_TAIL;
    char *p = malloc(n);

    cr_assert_not_null(p);
    memset(p, 'a', n);
    memcpy(p, head, sizeof head - 1);
    memcpy(p + n - sizeof tail + 1, tail, sizeof tail - 1);
    docx_begin(&z);
    zip_add_deflated(&z, "word/document.xml", p, n, claimed);
    free(p);
    return parser_parse_zip(&z, SNIFF_DOCX, 0);
}

Test(parser, an_honest_bomb_is_refused_before_it_is_unpacked)
{
    int64_t began = clock_ms();

    expect_reason(parse_bomb(65 << 20, -1), "parse_bomb");
    cr_assert_lt(clock_ms() - began, 10000);
}

Test(parser, a_lying_bomb_meets_the_memory_limit_quickly)
{
    struct rusage children;

    pc.conf.parser_max_memory = 1LL << 30;
    expect_reason(parse_bomb(200 << 20, 1000), "parse_memory");
    cr_assert_eq(getrusage(RUSAGE_CHILDREN, &children), 0); /* not the clock: the machine may be busy */
    cr_assert_lt(children.ru_utime.tv_sec + children.ru_stime.tv_sec, 10);
}

Test(parser, the_first_of_the_order_is_told_by_its_whole_name)
{
    static const struct {
        const char *order;
        bool llamaparse, local;
    } t[] = {{"local", false, true},
             {"llamaparse", true, false},
             {" llamaparse , local", true, false},
             {"local,llamaparse", false, true},
             {"locally", false, false}};

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct conf c = {.parser_order = t[i].order};
        cr_expect_eq(parser_is_first(&c, "llamaparse"), t[i].llamaparse, "%s", t[i].order);
        cr_expect_eq(parser_is_first(&c, "local"), t[i].local, "%s", t[i].order);
    }
}
