/* test_html.c - what a page's structure becomes in Markdown, and what no page can do */
#include "html/html_markdown.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sink {
    char *p;
    size_t n, refuse_after;
};

static int take(void *arg, const char *p, size_t n)
{
    struct sink *s = arg;

    if (s->refuse_after != 0 && s->n + n > s->refuse_after)
        return -1;
    s->p = realloc(s->p, s->n + n + 1);
    memcpy(s->p + s->n, p, n);
    s->n += n;
    s->p[s->n] = '\0';
    return 0;
}

static void expect_bytes(const char *page, size_t n, const char *want)
{
    struct sink s = {0};

    cr_assert_eq(html_to_markdown(page, n, 512, take, &s), HTML_OK);
    cr_assert_str_eq(s.p == NULL ? "" : s.p, want, "of %s:\n%s", page, s.p);
    free(s.p);
}

static void expect(const char *page, const char *want)
{
    expect_bytes(page, strlen(page), want);
}

Test(html, paragraphs_are_parted_by_blank_lines_and_spaces_collapse)
{
    expect("<p>a  b\n c<p>d</p>e", "a b c\n\nd\n\ne\n");
    expect("<div>a<div>b</div>c</div>", "a\n\nb\n\nc\n");
    expect("a<br>b<br/> c", "a\nb\nc\n");
    expect("one <b>two</b><i>three</i> <a href=x>four</a>.", "one twothree four.\n");
}

Test(html, headings_are_one_line_each)
{
    expect("<h1>A</h1><h3>B<br>c</h3><h6> </h6>d", "# A\n\n### B c\n\nd\n");
}

Test(html, the_title_is_a_heading_unless_the_page_begins_with_it)
{
    expect("<title>T &amp; U</title><p>x", "# T & U\n\nx\n");
    expect("<title>T</title><h1>T</h1>x", "# T\n\nx\n");
    expect("<title>T</title><h1>Other</h1>", "# T\n\n# Other\n");
    expect("<title>T</title>", "# T\n");
}

Test(html, lists_nest_and_number)
{
    expect("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>e", "- a\n- b\n  - c\n- d\n\ne\n");
    expect("<ol><li>a<li>b</ol>", "1. a\n2. b\n");
    expect("<ol start=9><li>a<p>more<li>b</ol>", "9. a\n\n   more\n10. b\n");
    expect("<ul><li>a</ul><ol><li>b</ol>", "- a\n\n1. b\n");
    expect("<li>stray", "- stray\n");
    expect("<ul><li></li><li>x</ul>", "- x\n");
}

Test(html, quotes_hold_blocks)
{
    expect("a<blockquote><p>b<p>c<blockquote>d</blockquote></blockquote>e", "a\n\n> b\n>\n> c\n>\n> > d\n\ne\n");
    expect("<blockquote><ul><li>x<li>y</ul></blockquote>", "> - x\n> - y\n");
}

Test(html, code_keeps_its_spaces_and_its_fence_outgrows_it)
{
    expect("<pre>\na  b\n  c\n</pre>", "```\na  b\n  c\n```\n");
    expect("<pre><code class='hljs language-c'>x = `y`;\n```\n</code></pre>", "````c\nx = `y`;\n```\n````\n");
    expect("<ul><li>x<pre>a\n\nb</pre></ul>", "- x\n\n  ```\n  a\n  \n  b\n  ```\n");
    expect("use <code>a``b</code> or <kbd>c</kbd>", "use ``` a``b ``` or `c`\n");
}

Test(html, tables_of_data_are_pipe_tables)
{
    expect("<table><tr><th>A<th>B<tr><td>1|2<td>x<br>y<tr><td>z</table>",
           "| A | B |\n| --- | --- |\n| 1\\|2 | x y |\n| z |  |\n");
    expect("<table><caption>C</caption><thead><tr><td>A</thead><tbody><tr><td><p>b<p>c</tbody></table>d",
           "| C A |\n| --- |\n| b c |\n\nd\n");
}

Test(html, tables_of_layout_are_their_blocks)
{
    expect("<table><tr><td>menu<td><h2>H</h2><p>text<ul><li>q</ul></table>", "menu\n\n## H\n\ntext\n\n- q\n");
    expect("<table><tr><td>a<table><tr><td>b<td>c</table>d</table>", "a\n\n| b | c |\n| --- | --- |\n\nd\n");
}

Test(html, scripts_styles_and_templates_are_left_out)
{
    expect(
        "<script>document.write('<p>no')</script><style>p{}</style>yes<template><p>no</template><noscript>no</noscript>"
        "<svg><text>no</text></svg>",
        "yes\n");
}

Test(html, text_that_looks_like_markdown_is_escaped_at_line_starts)
{
    expect("<p># a<p>- b<p>1. c<p>&gt; d<p>```e<p>---<p>#tag -x 2.5",
           "\\# a\n\n\\- b\n\n1\\. c\n\n\\> d\n\n\\```e\n\n\\---\n\n"
           "#tag -x 2.5\n");
}

Test(html, entities_and_images)
{
    expect("caf&eacute; &lt;b&gt; &#8364; &amp;amp; <img src=x alt='a cat'>!",
           "caf\xc3\xa9 <b> \xe2\x82\xac &amp; a cat !\n");
}

Test(html, character_sets)
{
    expect("<p>Gr\xc3\xbc\xc3\x9f", "Gr\xc3\xbc\xc3\x9f\n");
    expect("<p>Gr\xfc\xdf \x80", "Gr\xc3\xbc\xc3\x9f \xe2\x82\xac\n");
    expect("<meta charset=iso-8859-1><p>\x93q\x94", "\xe2\x80\x9cq\xe2\x80\x9d\n");
    expect("<meta charset=\"koi8-r\"><p>\xed\xe9\xf2", "\xd0\x9c\xd0\x98\xd0\xa0\n");
    expect("<meta http-equiv=x content='text/html; charset=shift_jis'>\x93\x8c\x8b\x9e", "\xe6\x9d\xb1\xe4\xba\xac\n");
    expect("<meta charset=utf-8><p>a\xff"
           "b",
           "a\xef\xbf\xbd"
           "b\n");
    expect("<meta charset=latin1><p>\xc3\xbc", "\xc3\xbc\n"); /* valid UTF-8, whatever it says */
    expect("<meta charset=no-such-set><p>\xfc", "\xc3\xbc\n");
    expect_bytes("\xff\xfe<\0p\0>\0\xfc\0", 10, "\xc3\xbc\n");
    expect_bytes("\xfe\xff\0<\0p\0>\0\xfc", 10, "\xc3\xbc\n");
    expect_bytes("\xef\xbb\xbf<p>x", 7, "x\n");
    expect_bytes("a\0b", 3, "a b\n");
}

Test(html, empty_pages_give_nothing)
{
    expect("", "");
    expect("<html><body></body></html>", "");
    expect("<!-- only a comment", "");
}

Test(html, depth_is_limited_exactly)
{
    struct sink s = {0};

    cr_assert_eq(html_to_markdown("<div><div><div>x", 16, 3, take, &s), HTML_OK);
    cr_assert_eq(html_to_markdown("<div><div><div>x", 16, 2, take, &s), HTML_TOO_DEEP);
    free(s.p);
}

Test(html, a_writer_that_refuses_ends_the_conversion)
{
    struct sink s = {.refuse_after = 2};

    cr_assert_eq(html_to_markdown("<p>abcdef", 9, 10, take, &s), HTML_NOT_WRITTEN);
    free(s.p);
}

static double seconds_for(const char *unit, size_t bytes, int depth, enum html_result *r)
{
    size_t k = strlen(unit), n = bytes / k * k;
    char *p = malloc(n + 1);
    struct sink s = {0};
    struct timespec a, b;

    for (size_t i = 0; i < n; i += k)
        memcpy(p + i, unit, k);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    *r = html_to_markdown(p, n, depth, take, &s);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    free(p);
    free(s.p);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

/* Twice the input may not take four times the time. */
Test(html, hostile_repetition_stays_linear, .timeout = 120)
{
    static const char *const units[] = {"<div>",
                                        "<b>",
                                        "<!--",
                                        "<a href=x>",
                                        "&",
                                        "<table><tr><td>",
                                        "<li>",
                                        "<p>a",
                                        "`",
                                        "<code>`</code>",
                                        "<![CDATA[",
                                        "<x y=\"",
                                        "</p>",
                                        "<pre>",
                                        "<script>",
                                        "a<br>",
                                        "<select><option>",
                                        "&#x41;",
                                        "<blockquote>",
                                        "<h1>a",
                                        "<title>x",
                                        "<ul><li>",
                                        "<font><p>"};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        enum html_result r;
        double small = 0, large = 1;

        /* What is not linear is so every time; a busy machine's caches are not. */
        for (int tries = 0; tries < 3 && large >= 0.2 && large >= 3.2 * small; tries++) {
            small = seconds_for(units[i], 200000, 512, &r);
            large = seconds_for(units[i], 400000, 512, &r);
        }
        cr_expect(large < 0.2 || large < 3.2 * small, "%s: %.3f s, then %.3f s", units[i], small, large);
        cr_expect_lt(large, 5.0, "%s: %.3f s", units[i], large);
    }
}
