/* parser_case.c - see parser_case.h */
#include "parser_case.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct parser_case pc;

static int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");

    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

void parser_case_open(void)
{
    pc.conf = (struct conf){.parser_pdftotext = "/usr/bin/pdftotext",
                            .blob_spool = "/tmp",
                            .parser_pandoc = "/usr/bin/pandoc",
                            .parser_libexec = TEST_LIBEXEC,
                            .parser_timeout = 60000,
                            .parser_max_memory = 2LL << 30,
                            .parser_max_output = 64 << 20,
                            .limits_max_pages = 50,
                            .limits_max_unpacked = 64 << 20,
                            .limits_max_depth = 512};
    strcpy(pc.dir, "/tmp/docmill-parser-XXXXXX");
    cr_assert_not_null(mkdtemp(pc.dir));
    pc.fds_before = count_fds();
}

void parser_case_close(void)
{
    char cmd[100];

    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "a child was left");
    cr_assert_eq(errno, ECHILD);
    cr_assert_eq(count_fds(), pc.fds_before, "a descriptor was left open");
    snprintf(cmd, sizeof cmd, "rm -rf %s", pc.dir);
    cr_assert_eq(system(cmd), 0);
}

int parser_parse(enum sniff_type type, const void *p, size_t n)
{
    struct parse_job job = {.type = type, .size = (int64_t)n, .fd = memfd_create("doc", MFD_CLOEXEC)};
    int rc;

    cr_assert_eq(write(job.fd, p, n), (ssize_t)n);
    cr_assert_eq(lseek(job.fd, 0, SEEK_SET), 0);
    memset(&pc.err, 0, sizeof pc.err);
    rc = parse_run(&pc.conf, &job, &pc.result, &pc.err);
    cr_assert_eq(lseek(job.fd, 0, SEEK_CUR), 0, "the offset moved");
    close(job.fd);
    return rc;
}

void expect_text(int rc, const char *want)
{
    cr_assert_eq(rc, 0, "%s: %s", pc.err.reason, pc.err.message);
    cr_assert_eq(pc.result.len, strlen(want), "%.*s", (int)pc.result.len, pc.result.text);
    cr_assert_arr_eq(pc.result.text, want, strlen(want));
    parse_result_free(&pc.result);
}

void expect_reason(int rc, const char *reason)
{
    cr_assert_lt(rc, 0);
    cr_assert_str_eq(pc.err.reason, reason, "%s: %s", pc.err.reason, pc.err.message);
    cr_assert_null(pc.result.text);
}

void zip_add_text(struct zip_maker *z, const char *name, const char *text)
{
    zip_add(z, name, text, strlen(text));
}

void docx_begin(struct zip_maker *z)
{
    zip_add_text(
        z, "[Content_Types].xml",
        "<?xml version=\"1.0\"?><Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">"
        "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
        "<Override PartName=\"/word/document.xml\" ContentType=\"application/"
        "vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/></Types>");
    zip_add_text(
        z, "_rels/.rels",
        "<?xml version=\"1.0\"?><Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/"
        "relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/"
        "relationships/officeDocument\" Target=\"word/document.xml\"/></Relationships>");
}

int parser_parse_zip(struct zip_maker *z, enum sniff_type type, size_t cut)
{
    size_t n;
    const void *p = zip_finish(z, &n);
    int rc = parser_parse(type, p, n - cut);

    zip_drop(z);
    return rc;
}
