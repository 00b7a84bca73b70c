/*
 * parser_case.h - what the tests of parsing share: a configuration, a document, what became of it
 *
 * After each test no child is left and no descriptor is open that was not before.
 */
#ifndef TESTS_PROVIDER_PARSER_CASE_H
#define TESTS_PROVIDER_PARSER_CASE_H

#include "provider/parser.h"
#include "zip_make.h"

#define DOCX_HEAD                                                                                                      \
    "<?xml version=\"1.0\"?><w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\">"     \
    "<w:body>"
#define DOCX_TAIL "</w:body></w:document>"
#define DOCX_OK   DOCX_HEAD "<w:p><w:r><w:t>Hello office</w:t></w:r></w:p>" DOCX_TAIL

struct parser_case {
    struct conf conf;
    struct error err;
    struct parse_result result;
    char dir[64]; /* of this test alone */
    int fds_before;
};

extern struct parser_case pc;

void parser_case_open(void);
void parser_case_close(void);
int parser_parse(enum sniff_type type, const void *p, size_t n);
int parser_parse_zip(struct zip_maker *z, enum sniff_type type, size_t cut); /* without its last cut bytes */
void expect_text(int rc, const char *want);
void expect_reason(int rc, const char *reason);

void zip_add_text(struct zip_maker *z, const char *name, const char *text);
/* All of a .docx but its text. */
void docx_begin(struct zip_maker *z);

#endif
