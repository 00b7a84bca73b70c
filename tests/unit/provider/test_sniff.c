/* test_sniff.c - files are known by their bytes; the name only chooses between kinds of text */
#include "provider/sniff.h"
#include "provider/zip.h"
#include "zip_make.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct error err;
static bool mismatch;
static char detail[128];

static int file_of(const void *p, size_t n)
{
    int fd = memfd_create("sniff", MFD_CLOEXEC);

    cr_assert_eq(write(fd, p, n), (ssize_t)n);
    return fd;
}

static int sniff_bytes(const void *p, size_t n, const char *name)
{
    int fd = file_of(p, n);
    int t = sniff_fd(fd, (int64_t)n, name, &mismatch, detail, &err);

    cr_assert_geq(t, 0, "%s", err.message);
    close(fd);
    return t;
}

static int sniff_text(const char *text, const char *name)
{
    return sniff_bytes(text, strlen(text), name);
}

Test(sniff, every_type_has_its_mime_type_and_back)
{
    for (enum sniff_type t = SNIFF_UNKNOWN + 1; t < SNIFF_MAX_; t++)
        cr_assert_eq(sniff_by_mime(sniff_mime(t)), t);
    cr_assert_eq(sniff_by_mime("Text/HTML; charset=utf-8"), SNIFF_HTML);
    cr_assert_eq(sniff_by_mime("image/png"), SNIFF_UNKNOWN);
    cr_assert_eq(sniff_by_mime("text/htmlx"), SNIFF_UNKNOWN);
}

Test(sniff, text_is_what_its_name_says_among_the_kinds_of_text)
{
    cr_assert_eq(sniff_text("# Title\n\nSome text here.\n", "a.md"), SNIFF_MARKDOWN);
    cr_assert_not(mismatch);
    cr_assert_eq(sniff_text("# Title\n\nSome text here.\n", "a.TXT"), SNIFF_TEXT);
    cr_assert_eq(sniff_text("# Title\n\nSome text here.\n", NULL), SNIFF_TEXT);
    cr_assert_eq(sniff_text("# Title\n\nSome text here.\n", "a.c"), SNIFF_TEXT);
    cr_assert_eq(sniff_text("Gr\xc3\xbc\xc3\x9f"
                            "e aus K\xc3\xb6ln, und noch mehr Text.\n",
                            "x"),
                 SNIFF_TEXT);
    cr_assert_eq(sniff_text("{\"a\": [1, 2, 3]}\n", "a.json"), SNIFF_TEXT);
    cr_assert_eq(sniff_text("#include <stdio.h>\nint main(void) { return 0; }\n", "a.txt"), SNIFF_TEXT);
}

Test(sniff, html_is_known_by_its_first_tag)
{
    cr_assert_eq(sniff_text("<!DOCTYPE html><title>x</title><p>y", "a.html"), SNIFF_HTML);
    cr_assert_eq(sniff_text("\xef\xbb\xbf <!-- c --> <?xml version='1.0'?><HTML>x</HTML>", NULL), SNIFF_HTML);
    cr_assert_eq(sniff_text("Just words with <b>one</b> tag.\n", "a.htm"), SNIFF_HTML);
    cr_assert_not(mismatch);
    cr_assert_eq(sniff_text("Just words with <b>one</b> tag.\n", "a.txt"), SNIFF_TEXT);
    cr_assert_eq(sniff_text("<h1 align=center>Project</h1>\n\nReadme.\n", "README.md"), SNIFF_MARKDOWN);
}

Test(sniff, a_name_that_belongs_to_another_type_is_a_mismatch)
{
    cr_assert_eq(sniff_text("<!doctype html><p>not a pdf", "report.pdf"), SNIFF_HTML);
    cr_assert(mismatch);
    cr_assert_eq(sniff_text("%PDF-1.4\n1 0 obj", "notes.txt"), SNIFF_PDF);
    cr_assert(mismatch);
    cr_assert_eq(sniff_text("plain words, no tag at all\n", "page.html"), SNIFF_TEXT);
    cr_assert(mismatch);
    cr_assert_eq(sniff_text("plain words\n", "a.unheardof"), SNIFF_TEXT);
    cr_assert_not(mismatch);
}

Test(sniff, a_pdf_mark_may_stand_deeper_only_in_a_file_named_pdf)
{
    cr_assert_eq(sniff_text("junk\r\n%PDF-1.4\n1 0 obj\n", "a.pdf"), SNIFF_PDF);
    cr_assert_eq(sniff_text("Files begin with %PDF-1.4, says the manual.\n", "a.txt"), SNIFF_TEXT);
}

Test(sniff, what_no_parser_takes_is_unknown_and_named)
{
    static const unsigned char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde";

    cr_assert_eq(sniff_bytes(png, sizeof png, "a.pdf"), SNIFF_UNKNOWN);
    cr_assert(mismatch);
    cr_assert_str_eq(detail, "image/png");
    cr_assert_eq(sniff_text("{\\rtf1\\ansi hello}", "a.rtf"), SNIFF_UNKNOWN);
    cr_assert_str_eq(detail, "text/rtf");
    cr_assert_eq(sniff_bytes("", 0, "a.txt"), SNIFF_UNKNOWN);
    cr_assert_str_eq(detail, "empty");
    cr_assert_eq(sniff_bytes("\x7f"
                             "ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\x3e\0",
                             20, "a.txt"),
                 SNIFF_UNKNOWN);
}

static int sniff_archive(struct zip_maker *z, const char *name)
{
    size_t n;
    const void *p = zip_finish(z, &n);
    int t = sniff_bytes(p, n, name);

    zip_drop(z);
    return t;
}

Test(sniff, archives_are_told_apart_by_their_entries_not_their_names)
{
    struct zip_maker z = {0};

    zip_add(&z, "[Content_Types].xml", "<Types/>", 8);
    zip_add(&z, "word/document.xml", "<w:document/>", 13);
    cr_assert_eq(sniff_archive(&z, "a.pdf"), SNIFF_DOCX);
    cr_assert(mismatch);

    zip_add(&z, "mimetype", "application/epub+zip", 20);
    zip_add(&z, "META-INF/container.xml", "<c/>", 4);
    cr_assert_eq(sniff_archive(&z, NULL), SNIFF_EPUB);

    zip_add(&z, "mimetype", "application/vnd.oasis.opendocument.text", 39);
    zip_add(&z, "content.xml", "<c/>", 4);
    cr_assert_eq(sniff_archive(&z, "a.odt"), SNIFF_ODT);
    cr_assert_not(mismatch);

    zip_add(&z, "mimetype", "application/vnd.oasis.opendocument.spreadsheet", 46);
    cr_assert_eq(sniff_archive(&z, "a.odt"), SNIFF_UNKNOWN);
    cr_assert_str_eq(detail, "application/vnd.oasis.opendocument.spreadsheet");

    zip_add(&z, "xl/workbook.xml", "<c/>", 4);
    zip_add(&z, "[Content_Types].xml", "<c/>", 4);
    cr_assert_eq(sniff_archive(&z, "a.docx"), SNIFF_UNKNOWN);
    cr_assert_str_eq(detail, "application/zip");
}

Test(sniff, a_cut_archive_is_what_its_name_says_so_that_its_parser_can_say_damaged)
{
    struct zip_maker z = {0};
    size_t n;

    zip_add(&z, "[Content_Types].xml", "<Types/>", 8);
    zip_add(&z, "word/document.xml", "<w:document/>", 13);
    const void *p = zip_finish(&z, &n);
    cr_assert_eq(sniff_bytes(p, n / 2, "a.docx"), SNIFF_DOCX);
    cr_assert_eq(sniff_bytes(p, n / 2, "a.xyz"), SNIFF_UNKNOWN);
    zip_drop(&z);
}

static int summary_of(struct zip_maker *z, struct zip_summary *s, size_t cut)
{
    size_t n;
    const void *p = zip_finish(z, &n);
    int fd = file_of(p, n - cut);
    int rc = zip_summarise(fd, (int64_t)(n - cut), s);

    close(fd);
    zip_drop(z);
    return rc;
}

Test(zip, adds_up_what_the_directory_claims)
{
    struct zip_maker z = {0};
    struct zip_summary s;

    zip_add(&z, "a", "12345", 5);
    zip_add_claiming(&z, "b", "x", 1, 4000000000u, 0);
    cr_assert_eq(summary_of(&z, &s, 0), ZIP_OK);
    cr_assert_eq(s.entries, 2);
    cr_assert_eq(s.unpacked, 4000000005);
    cr_assert_not(s.encrypted);
}

Test(zip, reads_64_bit_sizes)
{
    struct zip_maker z = {0};
    struct zip_summary s;

    zip_add_claiming(&z, "b", "x", 1, 281000000000000, 0);
    cr_assert_eq(summary_of(&z, &s, 0), ZIP_OK);
    cr_assert_eq(s.unpacked, 281000000000000);
}

Test(zip, sees_encrypted_entries)
{
    struct zip_maker z = {0};
    struct zip_summary s;

    zip_add_claiming(&z, "b", "x", 1, 1, 1);
    cr_assert_eq(summary_of(&z, &s, 0), ZIP_OK);
    cr_assert(s.encrypted);
}

Test(zip, a_cut_or_empty_archive_is_broken)
{
    struct zip_maker z = {0};
    struct zip_summary s;

    zip_add(&z, "a", "12345", 5);
    cr_assert_eq(summary_of(&z, &s, 3), ZIP_BROKEN);
    cr_assert_eq(summary_of(&z, &s, 0), ZIP_BROKEN);
}

Test(zip, too_many_entries_are_told_and_a_wrapped_count_is_not_believed)
{
    struct zip_maker z = {0};
    struct zip_summary s;
    char name[8];

    for (int i = 0; i <= ZIP_MAX_ENTRIES; i++) {
        snprintf(name, sizeof name, "%d", i);
        zip_add(&z, name, "", 0);
    }
    cr_assert_eq(summary_of(&z, &s, 0), ZIP_TOO_MANY);
    cr_assert_eq(s.entries, ZIP_MAX_ENTRIES);
}

Test(zip, a_long_comment_hides_no_directory)
{
    struct zip_maker z = {.comment = 60000};
    struct zip_summary s;

    zip_add(&z, "a", "12345", 5);
    cr_assert_eq(summary_of(&z, &s, 0), ZIP_OK);
    cr_assert_eq(s.entries, 1);
}
