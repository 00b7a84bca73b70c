/*
 * test_parser.c - every way in which parsing can end, forced with a real file or a real program
 *
 * The real parsers are used where they are the matter; where a misbehaving one is, the actor plays it. After each test
 * no child is left and no descriptor is open that was not before.
 */
#include "base/clock.h"
#include "fork_test.h"
#include "pdf_make.h"
#include "provider/parser.h"
#include "zip_make.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct conf conf;
static struct error err;
static struct parse_result result;
static char dir[64];
static int fds_before;

static int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");

    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static void setup(void)
{
    conf = (struct conf){.parser_pdftotext = "/usr/bin/pdftotext",
                         .parser_pandoc = "/usr/bin/pandoc",
                         .parser_libexec = TEST_LIBEXEC,
                         .parser_timeout = 60000,
                         .parser_max_memory = 2LL << 30,
                         .parser_max_output = 64 << 20,
                         .limits_max_pages = 50,
                         .limits_max_unpacked = 64 << 20,
                         .limits_max_depth = 512};
    strcpy(dir, "/tmp/docmill-parser-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    fds_before = count_fds();
}

static void teardown(void)
{
    char cmd[100];

    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "a child was left");
    cr_assert_eq(errno, ECHILD);
    cr_assert_eq(count_fds(), fds_before, "a descriptor was left open");
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    cr_assert_eq(system(cmd), 0);
}

TestSuite(parser, .init = setup, .fini = teardown, .timeout = 120);

static int parse(enum sniff_type type, const void *p, size_t n)
{
    struct parse_job job = {.type = type, .size = (int64_t)n, .fd = memfd_create("doc", MFD_CLOEXEC)};
    int rc;

    cr_assert_eq(write(job.fd, p, n), (ssize_t)n);
    cr_assert_eq(lseek(job.fd, 0, SEEK_SET), 0);
    memset(&err, 0, sizeof err);
    rc = parse_run(&conf, &job, &result, &err);
    cr_assert_eq(lseek(job.fd, 0, SEEK_CUR), 0, "the offset moved");
    close(job.fd);
    return rc;
}

static void expect_text(int rc, const char *want)
{
    cr_assert_eq(rc, 0, "%s: %s", err.reason, err.message);
    cr_assert_eq(result.len, strlen(want), "%.*s", (int)result.len, result.text);
    cr_assert_arr_eq(result.text, want, strlen(want));
    parse_result_free(&result);
}

static void expect_reason(int rc, const char *reason)
{
    cr_assert_lt(rc, 0);
    cr_assert_str_eq(err.reason, reason, "%s: %s", err.reason, err.message);
    cr_assert_null(result.text);
}

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
    int rc = parse(SNIFF_PDF, p, n - cut);

    free(p);
    return rc;
}

Test(parser, a_pdf_gives_its_text_with_a_form_feed_a_page)
{
    int rc = parse_pdf(2, hello, 0);

    cr_assert_eq(rc, 0, "%s", err.message);
    cr_assert(result.plain);
    cr_assert_eq(result.pages, 2);
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
    cr_assert_eq(parse_pdf(50, hello, 0), 0, "%s", err.message);
    cr_assert_eq(result.pages, 50);
    parse_result_free(&result);
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
    expect_reason(parse(SNIFF_PDF, junk, sizeof junk), "parse_corrupt");
}

Test(parser, an_encrypted_pdf_says_so)
{
    char p[8192];
    int fd = open(TEST_FIXTURES "/encrypted.pdf", O_RDONLY);
    ssize_t n = read(fd, p, sizeof p);

    cr_assert_gt(n, 1000);
    close(fd);
    expect_reason(parse(SNIFF_PDF, p, (size_t)n), "parse_encrypted");
}

/* HTML, Markdown, text -------------------------------------------------------------------------------------------- */

Test(parser, html_becomes_markdown)
{
    static const char page[] = "<h1>Title</h1><p>Words &amp; more.<ul><li>one<li>two</ul>";

    expect_text(parse(SNIFF_HTML, page, sizeof page - 1), "# Title\n\nWords & more.\n\n- one\n- two\n");
}

Test(parser, html_that_is_nested_too_deep_is_told_quickly)
{
    size_t n = 5 * 50000;
    char *p = malloc(n + 1);
    int64_t began = clock_ms();

    for (size_t i = 0; i < n; i += 5)
        memcpy(p + i, "<div>", 5);
    p[n] = 'x';
    expect_reason(parse(SNIFF_HTML, p, n + 1), "parse_too_deep");
    cr_assert_lt(clock_ms() - began, 5000);
    free(p);
}

Test(parser, html_without_text_says_so)
{
    static const char page[] = "<html><body><script>var x = 1;</script><img src=x></body></html>";

    expect_reason(parse(SNIFF_HTML, page, sizeof page - 1), "parse_no_text");
}

Test(parser, markdown_and_text_are_their_bytes)
{
    cr_assert_eq(parse(SNIFF_MARKDOWN, "# A\0b\xff\xff", 7), 0);
    cr_assert_eq(result.len, 7);
    cr_assert_arr_eq(result.text, "# A\0b\xff\xff", 7);
    cr_assert_not(result.plain);
    parse_result_free(&result);
}

Test(parser, text_is_plain)
{
    cr_assert_eq(parse(SNIFF_TEXT, "abc", 3), 0);
    cr_assert(result.plain);
    parse_result_free(&result);
}

Test(parser, utf16_text_is_converted)
{
    expect_text(parse(SNIFF_TEXT, "\xff\xfeG\0r\0\xfc\0\x3d\xd8\x00\xde\x00\xd8", 14),
                "Gr\xc3\xbc\xf0\x9f\x98\x80\xef\xbf\xbd");
    expect_text(parse(SNIFF_TEXT, "\xfe\xff\0A", 4), "A");
}

Test(parser, text_in_windows_1252_is_converted_and_says_so)
{
    cr_assert_eq(parse(SNIFF_TEXT, "caf\xe9 \x80", 6), 0);
    cr_assert_str_eq(result.charset, "windows-1252");
    cr_assert_eq(result.len, 9);
    cr_assert_arr_eq(result.text, "caf\xc3\xa9 \xe2\x82\xac", 9);
    parse_result_free(&result);
    cr_assert_eq(parse(SNIFF_MARKDOWN, "caf\xc3\xa9", 5), 0);
    cr_assert_null(result.charset);
    parse_result_free(&result);
}

Test(parser, blank_text_has_no_text)
{
    expect_reason(parse(SNIFF_TEXT, " \n\t \n", 5), "parse_no_text");
    expect_reason(parse(SNIFF_MARKDOWN, "", 0), "parse_no_text");
}

Test(parser, a_text_that_is_shorter_than_recorded_is_corrupt_not_a_crash)
{
    struct parse_job job = {.type = SNIFF_TEXT, .size = 100000, .fd = memfd_create("doc", MFD_CLOEXEC)};

    cr_assert_eq(write(job.fd, "abc", 3), 3);
    expect_reason(parse_run(&conf, &job, &result, &err), "blob_corrupt");
    close(job.fd);
}

Test(parser, an_unknown_type_is_unsupported)
{
    expect_reason(parse(SNIFF_UNKNOWN, "x", 1), "unsupported_type");
}

/* Office and e-book formats --------------------------------------------------------------------------------------- */

#define DOCX_HEAD                                                                                                      \
    "<?xml version=\"1.0\"?><w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\">"     \
    "<w:body>"
#define DOCX_TAIL "</w:body></w:document>"
#define DOCX_OK   DOCX_HEAD "<w:p><w:r><w:t>Hello office</w:t></w:r></w:p>" DOCX_TAIL

static void add_text(struct zip_maker *z, const char *name, const char *text)
{
    zip_add(z, name, text, strlen(text));
}

static void docx_begin(struct zip_maker *z)
{
    add_text(z, "[Content_Types].xml",
             "<?xml version=\"1.0\"?><Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">"
             "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
             "<Override PartName=\"/word/document.xml\" ContentType=\"application/"
             "vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/></Types>");
    add_text(z, "_rels/.rels",
             "<?xml version=\"1.0\"?><Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/"
             "relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/"
             "relationships/officeDocument\" Target=\"word/document.xml\"/></Relationships>");
}

static int parse_zip(struct zip_maker *z, enum sniff_type type, size_t cut)
{
    size_t n;
    const void *p = zip_finish(z, &n);
    int rc = parse(type, p, n - cut);

    zip_drop(z);
    return rc;
}

Test(parser, a_docx_gives_its_text)
{
    struct zip_maker z = {0};

    docx_begin(&z);
    zip_add_deflated(&z, "word/document.xml", DOCX_OK, sizeof DOCX_OK - 1, -1);
    expect_text(parse_zip(&z, SNIFF_DOCX, 0), "Hello office\n");
}

Test(parser, an_odt_gives_its_text)
{
    struct zip_maker z = {0};

    add_text(&z, "mimetype", "application/vnd.oasis.opendocument.text");
    add_text(&z, "content.xml",
             "<?xml version=\"1.0\"?><office:document-content "
             "xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" "
             "xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:text>"
             "<text:p>Hello open</text:p></office:text></office:body></office:document-content>");
    add_text(&z, "styles.xml",
             "<?xml version=\"1.0\"?><office:document-styles "
             "xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\"><office:font-face-decls/>"
             "<office:styles/><office:automatic-styles/></office:document-styles>");
    expect_text(parse_zip(&z, SNIFF_ODT, 0), "Hello open\n");
}

Test(parser, an_epub_gives_its_text_without_raw_html)
{
    struct zip_maker z = {0};

    add_text(&z, "mimetype", "application/epub+zip");
    add_text(&z, "META-INF/container.xml",
             "<?xml version=\"1.0\"?><container version=\"1.0\" "
             "xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\"><rootfiles><rootfile full-path=\"c.opf\" "
             "media-type=\"application/oebps-package+xml\"/></rootfiles></container>");
    add_text(&z, "c.opf",
             "<?xml version=\"1.0\"?><package xmlns=\"http://www.idpf.org/2007/opf\" version=\"3.0\"><metadata/>"
             "<manifest><item id=\"a\" href=\"a.xhtml\" media-type=\"application/xhtml+xml\"/></manifest>"
             "<spine><itemref idref=\"a\"/></spine></package>");
    add_text(&z, "a.xhtml",
             "<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>t</title></head><body><h1 id=\"x\">One</h1>"
             "<div class=\"y\"><p>Hello <span class=\"z\">book</span></p></div></body></html>");
    expect_text(parse_zip(&z, SNIFF_EPUB, 0), "# One\n\nHello book\n");
}

Test(parser, a_cut_or_broken_docx_is_corrupt)
{
    struct zip_maker z = {0};

    docx_begin(&z);
    add_text(&z, "word/document.xml", DOCX_OK);
    expect_reason(parse_zip(&z, SNIFF_DOCX, 30), "parse_corrupt");
    docx_begin(&z);
    add_text(&z, "word/document.xml", DOCX_HEAD "<w:p><w:r>");
    expect_reason(parse_zip(&z, SNIFF_DOCX, 0), "parse_corrupt");
    add_text(&z, "word/document.xml", DOCX_OK);
    expect_reason(parse_zip(&z, SNIFF_DOCX, 0), "parse_corrupt");
}

Test(parser, an_encrypted_archive_says_so)
{
    struct zip_maker z = {0};

    docx_begin(&z);
    zip_add_claiming(&z, "word/document.xml", DOCX_OK, sizeof DOCX_OK - 1, sizeof DOCX_OK - 1, 1);
    expect_reason(parse_zip(&z, SNIFF_DOCX, 0), "parse_encrypted");
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
    return parse_zip(&z, SNIFF_DOCX, 0);
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

    conf.parser_max_memory = 1LL << 30;
    expect_reason(parse_bomb(200 << 20, 1000), "parse_memory");
    cr_assert_eq(getrusage(RUSAGE_CHILDREN, &children), 0); /* not the clock: the machine may be busy */
    cr_assert_lt(children.ru_utime.tv_sec + children.ru_stime.tv_sec, 10);
}

/* Parsers that misbehave ------------------------------------------------------------------------------------------ */

static char actor_path[100];

/* The PDF parser is played by the actor. */
static void cast(const char *part)
{
    snprintf(actor_path, sizeof actor_path, "%s/%s", dir, part);
    cr_assert_eq(symlink(TEST_ACTOR, actor_path), 0);
    conf.parser_pdftotext = actor_path;
}

static int parse_played(const char *part)
{
    cast(part);
    return parse(SNIFF_PDF, "%PDF-1.4 x", 10);
}

Test(parser, a_hanging_parser_is_killed_at_its_deadline)
{
    int64_t began = clock_ms();

    conf.parser_timeout = 300;
    expect_reason(parse_played("hang"), "parse_timeout");
    cr_assert_geq(clock_ms() - began, 300);
    cr_assert_lt(clock_ms() - began, 3000);
}

Test(parser, one_that_ends_its_output_but_not_itself_is_killed_too)
{
    conf.parser_timeout = 300;
    expect_reason(parse_played("linger"), "parse_timeout");
}

Test(parser, a_busy_parser_is_stopped_by_cpu_time_even_if_nobody_watches)
{
    conf.parser_timeout = 1000;
    expect_reason(parse_played("spin"), "parse_timeout");
}

Test(parser, a_memory_eater_meets_its_limit)
{
    conf.parser_max_memory = 256 << 20;
    expect_reason(parse_played("memory"), "parse_memory");
}

Test(parser, an_endless_writer_is_stopped_at_the_cap)
{
    conf.parser_max_output = 1 << 20;
    expect_reason(parse_played("output"), "parse_output");
}

Test(parser, endless_pages_are_stopped_at_the_limit)
{
    expect_reason(parse_played("pages"), "too_many_pages");
}

Test(parser, a_crash_is_named_by_its_signal)
{
    expect_reason(parse_played("crash"), "parse_crashed");
    cr_assert_not_null(strstr(err.message, "11 (SEGV)"), "%s", err.message);
}

Test(parser, an_abort_is_a_crash)
{
    expect_reason(parse_played("abort"), "parse_crashed");
}

Test(parser, a_parser_killed_from_outside_says_nothing_about_the_file)
{
    expect_reason(parse_played("killed"), "parser_killed");
    cr_assert_eq(err.cls, ERR_TRANSIENT);
}

Test(parser, a_parser_cannot_pretend_that_the_sandbox_was_refused)
{
    expect_reason(parse_played("pretend"), "parse_failed");
    cr_assert_eq(err.cls, ERR_PERMANENT);
}

Test(parser, a_noisy_parser_neither_blocks_nor_grows)
{
    expect_text(parse_played("noise"), "quiet at last\n");
}

Test(parser, a_large_file_passes_whole)
{
    size_t n = 5 << 20;
    char *p = malloc(n);

    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + i % 26);
    cast("echo");
    cr_assert_eq(parse(SNIFF_PDF, p, n), 0, "%s", err.message);
    cr_assert_eq(result.len, n);
    cr_assert_eq(memcmp(result.text, p, n), 0);
    parse_result_free(&result);
    free(p);
}

Test(parser, a_parser_gets_three_descriptors_and_a_fixed_environment)
{
    int inherited = open("/etc/passwd", O_RDONLY); /* not close-on-exec, by mistake */

    setenv("SECRET", "x", 1);
    expect_text(parse_played("look"), "descriptors 3\nPATH=/usr/bin:/bin\nLC_ALL=C.UTF-8\nHOME=/nonexistent\n");
    close(inherited);
}

static void expect_no_deed(int rc)
{
    cr_assert_eq(rc, 0, "%s: %s", err.reason, err.message);
    cr_assert_null(memmem(result.text, result.len, "DONE", 4), "%.*s", (int)result.len, result.text);
    cr_assert_not_null(memmem(result.text, result.len, "shmget", 6), "the last deed was not tried");
    parse_result_free(&result);
}

Test(parser, no_forbidden_act_succeeds_in_the_profile_of_pdf)
{
    expect_no_deed(parse_played("attack"));
}

Test(parser, no_forbidden_act_succeeds_in_the_profile_with_threads)
{
    struct zip_maker z = {0};

    cast("attack");
    conf.parser_pandoc = actor_path;
    docx_begin(&z);
    add_text(&z, "word/document.xml", DOCX_OK);
    expect_no_deed(parse_zip(&z, SNIFF_DOCX, 0));
}

/* Waiting --------------------------------------------------------------------------------------------------------- */

static int ticks, cancel_after;
static int64_t last_tick, longest_gap;

static void count_tick(void *arg)
{
    int64_t now = clock_ms();

    (void)arg;
    ticks++;
    if (last_tick != 0 && now - last_tick > longest_gap)
        longest_gap = now - last_tick;
    last_tick = now;
}

static bool cancel(void *arg)
{
    (void)arg;
    return cancel_after != 0 && ticks >= cancel_after;
}

static int parse_ticking(const char *part)
{
    struct parse_job job = {.type = SNIFF_PDF, .size = 1, .tick = count_tick, .cancelled = cancel};
    int rc;

    cast(part);
    job.fd = memfd_create("doc", MFD_CLOEXEC);
    cr_assert_eq(write(job.fd, "x", 1), 1);
    rc = parse_run(&conf, &job, &result, &err);
    close(job.fd);
    return rc;
}

Test(parser, it_beats_while_it_waits_and_while_output_pours)
{
    conf.parser_timeout = 1000;
    expect_reason(parse_ticking("hang"), "parse_timeout");
    cr_assert_geq(ticks, 8);
    cr_assert_lt(longest_gap, 300);
    ticks = 0;
    conf.parser_timeout = 60000;
    conf.parser_max_output = 400 << 20;
    expect_reason(parse_ticking("output"), "parse_output");
    cr_assert_geq(ticks, 1);
}

Test(parser, a_cancelled_parse_is_killed_and_says_so)
{
    cancel_after = 2;
    cr_assert_eq(parse_ticking("hang"), -ECANCELED);
    cr_assert_str_eq(err.reason, "cancelled");
}

Test(parser, the_child_dies_with_its_parent)
{
    int status;
    pid_t middle;
    int64_t began;

    cast("hang");
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    middle = fork_mortal();
    if (middle == 0) {
        (void)parse(SNIFF_PDF, "x", 1);
        _exit(0);
    }
    usleep(500000);
    cr_assert_eq(kill(middle, SIGKILL), 0);
    cr_assert_eq(waitpid(middle, NULL, 0), middle);
    began = clock_ms();
    cr_assert_gt(waitpid(-1, &status, 0), 0, "the parser was adopted by us");
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_assert_lt(clock_ms() - began, 2000);
}

/* What is missing or refused -------------------------------------------------------------------------------------- */

Test(parser, a_missing_program_is_named_and_not_the_files_fault)
{
    conf.parser_pdftotext = "/nonexistent/pdftotext";
    expect_reason(parse(SNIFF_PDF, "%PDF-1.4", 8), "parser_missing");
    cr_assert_eq(err.cls, ERR_RECOVERABLE);
    cr_assert_not_null(strstr(err.message, "/nonexistent/pdftotext"));
    cr_assert_not(parse_supported(&conf, SNIFF_PDF));
    cr_assert(parse_supported(&conf, SNIFF_TEXT));
    cr_assert_lt(parse_check(&conf, &err), 0);
    cr_assert_str_eq(err.reason, "parser_missing");
}

Test(parser, a_missing_helper_is_named)
{
    conf.parser_libexec = "/nonexistent";
    expect_reason(parse(SNIFF_PDF, "%PDF-1.4", 8), "parser_missing");
    cr_assert_not_null(strstr(err.message, "/nonexistent/docmill-sandbox"));
}

Test(parser, a_script_is_no_parser)
{
    char path[100];
    FILE *f;

    snprintf(path, sizeof path, "%s/script", dir);
    f = fopen(path, "w");
    fputs("#!/bin/sh\necho hello\n", f);
    fclose(f);
    cr_assert_eq(chmod(path, 0755), 0);
    conf.parser_pdftotext = path;
    expect_reason(parse(SNIFF_PDF, "%PDF-1.4", 8), "parser_missing");
}

static void forbid(int call, uint32_t action)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

    cr_assert_eq(seccomp_rule_add(f, action, call, 0), 0);
    cr_assert_eq(seccomp_load(f), 0);
    seccomp_release(f);
}

Test(parser, without_landlock_nothing_is_run)
{
    forbid(SCMP_SYS(landlock_create_ruleset), SCMP_ACT_ERRNO(ENOSYS));
    expect_reason(parse_played("echo"), "sandbox_refused");
    cr_assert_eq(err.cls, ERR_RECOVERABLE);
    cr_assert_lt(parse_check(&conf, &err), 0);
    cr_assert_str_eq(err.reason, "sandbox_refused");
}

Test(parser, without_seccomp_nothing_is_run)
{
    forbid(SCMP_SYS(seccomp), SCMP_ACT_ERRNO(EINVAL));
    expect_reason(parse_played("echo"), "sandbox_refused");
}

Test(parser, the_check_passes_on_a_machine_that_has_everything)
{
    cr_assert_eq(parse_check(&conf, &err), 0, "%s", err.message);
    for (enum sniff_type t = SNIFF_UNKNOWN + 1; t < SNIFF_MAX_; t++)
        cr_assert(parse_supported(&conf, t));
    cr_assert_not(parse_supported(&conf, SNIFF_UNKNOWN));
}
