/*
 * parser_outcome.c - what a parser's end means, in reasons
 *
 * Each program tells what was wrong by an exit status and a sentence; the tables below say which mean what. Only
 * sentences that the program itself writes are matched, and only to choose among permanent reasons: a hostile file can
 * at most fail under another name. That nothing was executed comes from the sandbox, by a way the file cannot reach.
 *
 * Pure.
 */
#include "provider/parser_outcome.h"
#include "core/reason.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define ANY (-1)

struct verdict {
    int status;         /* ANY, or the exit status */
    const char *phrase; /* in what it said; NULL: whatever it said */
    enum reason reason;
};

/* First match wins. */
static const struct verdict pdf_verdicts[] = {
    {ANY, "Incorrect password", REASON_parse_encrypted},
    {ANY, "Unsupported security handler", REASON_parse_encrypted},
    {ANY, "Couldn't find the security handler", REASON_parse_encrypted},
    {ANY, "Out of memory", REASON_parse_memory},
    {ANY, "bad_alloc", REASON_parse_memory},
    {99, "Invalid page count 0", REASON_parse_no_pages},
    {99, NULL, REASON_parse_corrupt},
    {1, NULL, REASON_parse_corrupt},
};

static const struct verdict html_verdicts[] = {
    {10, NULL, REASON_parse_too_deep}, /* HTML_EXIT_* of html_markdown.h */
    {11, NULL, REASON_parse_memory},
    {12, NULL, REASON_parse_corrupt},
};

static const struct verdict office_verdicts[] = {
    {251, NULL, REASON_parse_memory}, /* the run-time system: heap exhausted */
    {ANY, "heap overflow", REASON_parse_memory},
    {ANY, "out of memory", REASON_parse_memory},
    {ANY, "memory allocation failed", REASON_parse_memory},
    {ANY, "Unable to commit", REASON_parse_memory},
    {ANY, "Stack space overflow", REASON_parse_memory},
    {2, NULL, REASON_parse_memory},   /* the run-time system: stack overflow */
    {44, NULL, REASON_parse_corrupt}, /* XML */
    {63, NULL, REASON_parse_corrupt}, /* "couldn't unpack", and whatever a reader throws */
    {64, NULL, REASON_parse_corrupt}, /* parse error */
    {65, NULL, REASON_parse_corrupt},
    {92, NULL, REASON_parse_corrupt}, /* UTF-8 */
    {1, NULL, REASON_parse_corrupt},  /* an exception of a reader: archives that end early */
};

static const struct verdict *verdict_of(enum sniff_type type, const struct child_outcome *o)
{
    const struct verdict *rows = office_verdicts;
    size_t n = sizeof office_verdicts / sizeof *office_verdicts;

    if (type == SNIFF_PDF) {
        rows = pdf_verdicts;
        n = sizeof pdf_verdicts / sizeof *pdf_verdicts;
    } else if (type == SNIFF_HTML) {
        rows = html_verdicts;
        n = sizeof html_verdicts / sizeof *html_verdicts;
    }
    for (size_t i = 0; i < n; i++)
        if ((rows[i].status == ANY || rows[i].status == o->status) &&
            (rows[i].phrase == NULL || strstr(o->said, rows[i].phrase) != NULL))
            return &rows[i];
    return NULL;
}

/* The last line that the parser wrote, made fit for a message: printable ASCII only, for the rest may be the file's. */
static void last_line(const struct child_outcome *o, char line[200])
{
    const char *end = o->said + strlen(o->said), *p;
    size_t n = 0;

    while (end > o->said && (end[-1] == '\n' || end[-1] == ' '))
        end--;
    for (p = end; p > o->said && p[-1] != '\n'; p--)
        ;
    for (; p < end && n < 199; p++)
        line[n++] = (char)(*p >= 0x20 && *p < 0x7f ? *p : '?');
    line[n] = '\0';
}

static int judge_exit(enum sniff_type type, const struct child_outcome *o, struct error *e)
{
    const struct verdict *v;
    char line[200];

    if (o->status == 0)
        return 0;
    v = verdict_of(type, o);
    last_line(o, line);
    return reason_error(e, v == NULL ? REASON_parse_failed : v->reason, EBADMSG, "%s Status %d%s%s",
                        reason_sentence(v == NULL ? REASON_parse_failed : v->reason), o->status,
                        line[0] == '\0' ? "." : ": ", line);
}

/* Signals that a program does not give itself by a fault: an operator's hand, or the kernel's out of memory. Neither
 * says anything about the file, so it is tried again. */
static bool from_outside(int signal)
{
    return signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

static int judge_signal(enum sniff_type type, const struct child_outcome *o, struct error *e)
{
    const struct verdict *v = verdict_of(type, o);

    if (o->status == SIGXCPU)
        return reason_error(e, REASON_parse_timeout, ETIMEDOUT, "The parser used up its CPU time.");
    if (v != NULL && v->reason == REASON_parse_memory)
        return reason_error(e, REASON_parse_memory, ENOMEM, NULL);
    if (from_outside(o->status))
        return reason_error(e, REASON_parser_killed, EINTR, "The parser was killed from outside by signal %d (%s).",
                            o->status, sigabbrev_np(o->status));
    return reason_error(e, REASON_parse_crashed, ECHILD, "The parser was killed by signal %d (%s).", o->status,
                        sigabbrev_np(o->status) == NULL ? "?" : sigabbrev_np(o->status));
}

static int judge_refusal(const char *command, const struct child_outcome *o, struct error *e)
{
    char line[200];
    int rc;

    last_line(o, line);
    if (o->refusal == 'M') { /* SANDBOX_MISSING */
        rc = reason_error(e, REASON_parser_missing, ENOENT, "%s cannot be executed: %s", command, line);
        error_hint(e, "install it, or set its path in the parser section of the configuration");
        return rc;
    }
    rc = reason_error(e, REASON_sandbox_refused, ENOTSUP, "The sandbox for %s was refused: %s", command, line);
    error_hint(e, "parsers need landlock (Linux 5.19 or newer, in the lsm list) and seccomp");
    return rc;
}

int parser_judge(enum sniff_type type, const char *command, const struct child_spec *s, const struct child_outcome *o,
                 struct error *e)
{
    int rc;

    switch (o->end) {
    case CHILD_EXITED:
        return judge_exit(type, o, e);
    case CHILD_SIGNALED:
        return judge_signal(type, o, e);
    case CHILD_REFUSED:
        return judge_refusal(command, o, e);
    case CHILD_NO_SANDBOX:
        rc = reason_error(e, REASON_parser_missing, o->status, "%s cannot be started: %s", s->sandbox,
                          strerror(o->status));
        error_hint(e, "set parser.libexec to the directory that docmill's helpers are installed in");
        return rc;
    case CHILD_TIMEOUT:
        return reason_error(e, REASON_parse_timeout, ETIMEDOUT, "The parser did not finish within %lld ms.",
                            (long long)s->timeout_ms);
    case CHILD_CANCELLED:
        return reason_error(e, REASON_cancelled, ECANCELED, NULL);
    case CHILD_OUTPUT_CAP:
        return reason_error(e, REASON_parse_output, EFBIG, "The parser wrote more than %lld bytes.",
                            (long long)s->max_output);
    case CHILD_PAGE_CAP:
        return reason_error(e, REASON_too_many_pages, EFBIG, "The file has more than %d pages.", s->max_pages);
    }
    return reason_error(e, REASON_internal, EINVAL, "unknown end %d of a parser", (int)o->end);
}
