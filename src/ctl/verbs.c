/*
 * verbs.c - every verb of docmillctl, once: grammar, socket, right, help, example
 *
 * Dispatch, usage lines, --help, the manual page (manual.c) and what shells complete (complete.c) come from this table.
 */
#include "core/pause.h"
#include "ctl/ctl.h"
#include "ctl/helptext.h"
#include "proc/control.h"
#include "proc/services.h"

#include <string.h>

const char ctl_global_grammar[] = "[-c|--config FILE] [--run-dir DIR] [--json] [-h|--help]";

/* clang-format off */
static const struct verb verbs[] = {
    {"upload", "FILE... [--lane LANE] [--collection NAME] [--jobs N]", "api", "any", do_upload,
     "Upload files and print the id of each document.",
     "  --lane LANE    who goes first\n"
     "                 interactive: the default\n"
     "                 bulk: served after interactive\n"
     "  --collection NAME  collection to upload to (default: default)\n"
     "  --jobs N       files in flight at once, 1 to 32 (default 4)\n",
     "  docmillctl upload manual.pdf notes.md\n"
     "  docmillctl upload --lane bulk --jobs 8 /srv/archive/*.pdf && docmillctl wait\n"},
    {"wait", "[ready|drained|idle|ID...] [--timeout TIME]", "api", "any, with ready, drained or idle read", do_wait,
     "Wait until documents are finished: those named, or all of yours; or until the daemon is ready, drained or idle.",
     "  ID             a document's or a job's id; without one: every document of yours\n"
     "  ready          the daemon is up and every pool can serve (gives up after a minute unless a time is given)\n"
     "  drained        the workers that are told to take no more (drain, pause all) have nothing in hand\n"
     "  idle           no document of anybody waits or is worked on\n"
     "  --timeout TIME  give up after this (90, 90s, 5m, 1h); exit code 6\n"
     "Exit code 1: a document that was waited for has failed or, if it was named, was cancelled.\n",
     "  docmillctl wait --timeout 10m\n"
     "  docmillctl wait a698c713-e458-5325-b103-a62a7882830a\n"
     "  systemctl start docmill && docmillctl wait ready\n"
     "  docmillctl pause all && docmillctl wait drained --timeout 5m\n"},
    {"search", "TEXT... [-n|--limit N] [--collection NAME]", "api", "any", do_search,
     "Find the passages nearest to a text.",
     "  -n, --limit N  most passages to print (default 5)\n"
     "  --collection NAME  collection to search (default: default)\n",
     "  docmillctl search how do I change the root password\n"
     "  docmillctl search -n 3 --json \"kernel modules\"\n"},
    {"documents", "[--parsed-by NAME] [--fallback] [-n|--limit N]", "api", "any", do_documents,
     "List your documents, newest first.",
     "  --parsed-by NAME  only those that this parser parsed\n"
     "                 local: by a command of this machine\n"
     "                 llamaparse: by LlamaParse\n"
     "  --fallback     only those that were parsed by another parser than the first of parser.order, which was away\n"
     "  -n, --limit N  most documents to print (default 50)\n",
     "  docmillctl documents -n 10\n"
     "  docmillctl documents --fallback\n"},
    {"document", "ID", "api", "any", do_document,
     "Show one document.", "",
     "  docmillctl document a698c713-e458-5325-b103-a62a7882830a\n"},
    {"delete", "ID", "api", "any", do_delete,
     "Delete a document with its text, chunks and vectors.", "",
     "  docmillctl delete a698c713-e458-5325-b103-a62a7882830a\n"},
    {"reparse", "[ID...] [--fallback] [--all]", "api", "any, with --all operate", do_reparse,
     "Parse complete documents again; searches find the former version until the new one is whole.",
     "  ID             a document's id\n"
     "  --fallback     those that were parsed by another parser than the first of parser.order, which was away\n"
     "  --all          with --fallback: of all users\n"
     "Refused while the parser is out of service. They come after whatever else is to be done.\n",
     "  docmillctl reparse a698c713-e458-5325-b103-a62a7882830a\n"
     "  docmillctl reparse --fallback --all\n"},
    {"jobs", "[--state STATE] [-n|--limit N]", "api", "any", do_jobs,
     "List your jobs, newest first.",
     "  --state STATE  queued, working, waiting, parked, retryable, done, deadletter, quarantined, cancelled\n"
     "  -n, --limit N  most jobs to print (default 50)\n",
     "  docmillctl jobs --state deadletter\n"},
    {"job", "ID", "api", "any", do_job,
     "Show one job and what happened to it.",
     "  ID             a job's or a document's id\n",
     "  docmillctl job 0b5f2a9e-6d0b-4a53-8f0e-0d2f5b1f6c11\n"},
    {"retry", "ID", "api", "any", do_retry,
     "Start a failed, quarantined or cancelled job again.",
     "  ID             a job's or a document's id\n",
     "  docmillctl retry 0b5f2a9e-6d0b-4a53-8f0e-0d2f5b1f6c11\n"},
    {"cancel", "ID", "api", "any", do_cancel,
     "Cancel a job that has not ended.",
     "  ID             a job's or a document's id\n",
     "  docmillctl cancel 0b5f2a9e-6d0b-4a53-8f0e-0d2f5b1f6c11\n"},
    {"events", "[--follow] [--all] [--after ID] [-n|--limit N]", "api", "any, with --all operate", do_events,
     "List what happened to your documents, oldest first.",
     "  --follow       go on with what happens, each event once, until ^C; with --json one line each\n"
     "  --all          of all users\n"
     "  --after ID     on from the event of this number (id in --json); without it the newest\n"
     "  -n, --limit N  most events to print (default 50; with --follow 10 of those before)\n",
     "  docmillctl events -n 20\n"
     "  docmillctl events --follow --all\n"},
    {"cost", "[--by KEY] [--from DAY] [--to DAY] [--all] [-n|--limit N]", "api", "any, with --all operate", do_cost,
     "Show what outside services cost.",
     "  --by KEY       what a line stands for\n"
     "                 day: a day in UTC, the default\n"
     "                 user: a user\n"
     "                 document: a document\n"
     "                 provider: a service and its model\n"
     "  --from DAY     first day, in UTC, as 2026-01-31 (default: 29 days before today)\n"
     "  --to DAY       last day (default: today)\n"
     "  --all          of all users\n"
     "  -n, --limit N  most lines to print (default 1000); the total is of all\n"
     "Amounts are exact. A cost counts on the day on which it was reserved. Requests of which nobody knows whether they "
     "were paid for, because their worker died before the answer was written down, are said at the end.\n",
     "  docmillctl cost --by document -n 20\n"
     "  docmillctl cost --all --by provider --from 2026-01-01 --to 2026-01-31\n"},
    {"spaces", "[ORDER] [--collection NAME] [--without-failed]", "api", "operate", do_spaces,
     "Show the collections' embedding spaces and how far a new one is filled, or decide about failed documents.",
     "  ORDER          retry: try the documents again that could not be embedded\n"
     "                 flip: change over without them; searches then do not find them; needs --without-failed\n"
     "  --collection NAME  whose space it is about (default: default)\n"
     "  --without-failed  needed for flip: with all documents a space is changed by itself\n"
     "A space is building while documents are embedded for it in the background, live while searches use it, retired "
     "until its vectors are removed.\n",
     "  docmillctl spaces\n"
     "  docmillctl spaces retry --collection notes\n"
     "  docmillctl spaces flip --without-failed\n"},
    {"pause", "[WHAT]", "api", "operate", do_pause,
     "Let a stage, a lane or all work rest, on every node, until it is resumed; without WHAT: list what does.",
     "  WHAT           one of\n"
#define X_PAUSE(NAME, word, statuses, lanes, title) "                 " #word ": " title "\n"
     PAUSES(X_PAUSE)
#undef X_PAUSE
     "Uploads are taken as before. What is in hand finishes its stage; the rest waits in the queue, over restarts too.\n",
     "  docmillctl pause embed\n"
     "  docmillctl pause all && docmillctl wait drained\n"},
    {"resume", "WHAT", "api", "operate", do_resume,
     "Let go on what was paused; `resume all` ends every pause.",
     "  WHAT           as for pause\n",
     "  docmillctl resume embed\n"
     "  docmillctl resume all\n"},
    {"audit", "[--since TIME] [-n|--limit N]", "api", "operate", do_audit,
     "List what operators told the daemon to do, newest first.",
     "  --since TIME   only of the last so long (90, 90s, 5m, 1h, 7d)\n"
     "  -n, --limit N  most records to print (default 50)\n"
     "Everything that wants the right operate or admin is recorded, also if it was refused. Arguments that a command does "
     "not have are not shown.\n",
     "  docmillctl audit --since 1d\n"},
    {"status", "[--watch] [--interval TIME]", "control", "read", do_status,
     "Show the daemon's processes and its queue.",
     "  --watch        again and again, until ^C; a daemon that goes away is waited for\n"
     "  --interval TIME  with --watch: how often (default 1s)\n",
     "  docmillctl status\n"
     "  docmillctl status --watch\n"},
    {"top", "[--interval TIME] [-n|--pages N]", "control", "read", do_top,
     "Watch the daemon at work, full-screen: its processes, what each has in hand, how fast, how much; its queue.",
     "  --interval TIME  how often (default 1s)\n"
     "  -n, --pages N  end after so many pages\n"
     "Keys: q ends, s sorts by pool, cpu, memory or done/s, space holds the page, arrows scroll. Where standard output is no "
     "terminal a page follows the other; with --json a line.\n",
     "  docmillctl top\n"
     "  docmillctl top --json -n 1\n"},
    {"workers", "[POOL...] [--all]", "control", "read", do_workers,
     "Show each worker: what it does, for how long, what it has in hand, what it has used.",
     "  POOL           only those of this pool, of whatever role\n"
     "  --all          of all pools, api and coordinator too\n"
     "A worker that holds several jobs shows the first and how many more there are; --json names them.\n",
     "  docmillctl workers\n"
     "  docmillctl workers --all --json\n"},
    {"pools", "", "control", "read", do_pools,
     "Show each pool: how many processes it should have, has, and what they did.", "",
     "  docmillctl pools\n"},
    {"health", "", "control", "read", do_health,
     "Is it alive, does it get on, can it serve? Exit code 1 if not.", "",
     "  docmillctl health && echo well\n"},
    {"breakers", "[ORDER] [SERVICE]", "control", "read, with ORDER operate", do_breakers,
     "Show the outside services, or open, close or try one's circuit breaker.",
     "  SERVICE        one of"
#define X_SERVICE(NAME, name, ...) " " name
     SERVICES(X_SERVICE)
#undef X_SERVICE
     "\n  ORDER          what to do with it\n"
#define X_ORDER(NAME, word, help) "                 " word ": " help "\n"
     BREAKER_ORDERS(X_ORDER)
#undef X_ORDER
     "A service whose breaker is open gets no requests: the documents that need it wait, without losing an attempt, and "
     "all others go on. The daemon stays ready.\n",
     "  docmillctl breakers\n"
     "  docmillctl breakers probe embedder\n"},
    {"errors", "[-n|--limit N]", "control", "read", do_errors,
     "List the last errors that want a person's attention, newest first.",
     "  -n, --limit N  most errors to print (default 50)\n",
     "  docmillctl errors -n 5\n"},
    {"log", "level [MODULE] [LEVEL]", "control", "read, with LEVEL operate", do_log,
     "Show how much the daemon's log tells, or set it for a module or for all, until the daemon is restarted.",
     "  MODULE         part of the daemon that a line's `module` names, or all (default)\n"
     "  LEVEL          debug, info, warn, error; default: as the others, and these as the configuration says\n"
     "It counts for every process of this node at once, those that start later too.\n",
     "  docmillctl log level\n"
     "  docmillctl log level http debug\n"
     "  docmillctl log level all default\n"},
    {"recycle", "POOL", "control", "operate", do_recycle,
     "Replace a pool's processes, a few at a time; each finishes what it has in hand.",
     "  POOL           a pool's name: docmillctl status shows them\n",
     "  docmillctl recycle workers\n"},
    {"restart", "POOL", "control", "operate", do_restart,
     "End a pool's processes and start them again, all at once; what they do not finish goes back to the queue.",
     "  POOL           a pool's name\n",
     "  docmillctl restart workers\n"},
    {"reset", "POOL", "control", "operate", do_reset,
     "Try again with a pool that was given up because its processes kept failing.",
     "  POOL           a pool's name\n",
     "  docmillctl reset workers\n"},
    {"scale", "POOL SIZE", "control", "operate", do_scale,
     "Set how many processes a pool has, until the daemon is restarted.",
     "  POOL           a pool's name\n"
     "  SIZE           1 to the pool's max, or auto: as many as there is work for\n",
     "  docmillctl scale workers 2\n"
     "  docmillctl scale workers auto\n"},
    {"drain", "[cancel|POOL] [POOL]", "control", "operate", do_drain,
     "Let the workers finish what is in hand and take no more; the daemon stays up.",
     "  cancel         take work again; without it the drain begins\n"
     "  POOL           only this pool (default: all pools of workers)\n"
     "The node is not ready while it is drained as a whole. What is uploaded meanwhile waits in the queue.\n",
     "  docmillctl drain\n"
     "  docmillctl drain cancel\n"
     "  docmillctl drain bulk-workers\n"},
    {"reload", "[--dry-run] [--plan PLAN] [--timeout TIME]", "control", "operate", do_reload,
     "Read the configuration anew and replace the processes that see a change, a first one on trial.",
     "  --dry-run      only show what changes, which processes are replaced, and what waits for a restart\n"
     "  --plan PLAN    only if the configuration is still that of this plan, which --dry-run has shown\n"
     "  --timeout TIME  wait no longer (90, 90s, 5m, 1h) and leave it to itself; exit code 6\n"
     "Exit code 4: the configuration is not good, and nothing happened. Exit code 1: a process with the new one failed, and "
     "the former one is in effect again. Keys that need a restart of the daemon keep their value and are named.\n",
     "  docmillctl reload --dry-run\n"
     "  docmillctl reload\n"},
    {"stop", "[--fast] [--now]", "control", "admin", do_stop,
     "Stop the daemon; work in hand is finished first.",
     "  --fast         do not wait for work in hand; it is handed back to the queue\n"
     "  --now          kill at once; the next start picks the work up\n",
     "  docmillctl stop\n"},
    {"version", "", "control", "read", do_version,
     "Print the versions of docmillctl and of the daemon, if it runs.", "",
     "  docmillctl version\n"},
};
/* clang-format on */

#define N_VERBS ((int)(sizeof verbs / sizeof verbs[0]))

const struct verb *verb_table(int *n)
{
    *n = N_VERBS;
    return verbs;
}

const struct verb *verb_find(const char *name)
{
    for (int i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

const char ctl_global_options[] =
    "  --run-dir DIR      directory of the daemon's sockets (default: $DOCMILL_RUN_DIR, or /run/docmill)\n"
    "  -c, --config FILE  take run_dir from this configuration file\n"
    "  --json             print JSON; errors too, on standard error\n"
    "  -h, --help         explain docmillctl, or one command of it\n";

const char ctl_own_options[] = "  --version          print the version\n"
                               "  --print-man        print the manual page docmillctl(1)\n"
                               "  --print-completion SHELL  print what bash or zsh loads to complete command lines\n";

const char ctl_examples[] = "  docmillctl health\n"
                            "  docmillctl upload README.md && docmillctl wait\n"
                            "  docmillctl search what is this about\n";

static void help_common(FILE *out)
{
    fprintf(out, "\nOptions of every command:\n%s", ctl_global_options);
}

static void help_rights(FILE *out)
{
    fputs("\nRights, each with those before it; root and the daemon's user have all:\n"
          "  any      every user of this machine, about documents of one's own\n",
          out);
#define X_PRINT(NAME, name, key, what) fprintf(out, "  %-8s %s: members of %s\n", name, what, key);
    CONTROL_RIGHTS(X_PRINT)
#undef X_PRINT
}

void ctl_help(FILE *out)
{
    fputs("usage: docmillctl COMMAND [ARGUMENTS]\n\n"
          "Upload documents to a docmill daemon of this machine, search them, and look after it.\n\n"
          "Commands:\n",
          out);
    for (int i = 0; i < N_VERBS; i++)
        fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
    help_common(out);
    help_rights(out);
    fputs("\nExit codes:\n", out);
#define X_PRINT(name, n, meaning) fprintf(out, "  %d  %s\n", n, meaning);
    CTL_EXITS(X_PRINT)
#undef X_PRINT
    fprintf(out, "\nWithout a command:\n%s", ctl_own_options);
    fprintf(out, "\nA first look:\n%s\n`docmillctl COMMAND --help` explains one command.\n", ctl_examples);
}

void verb_help(const struct verb *v, FILE *out)
{
    fprintf(out, "usage: docmillctl %s%s%s\n\n%s\n", v->name, v->grammar[0] != '\0' ? " " : "", v->grammar, v->summary);
    if (v->options[0] != '\0') {
        fputc('\n', out);
        help_print(out, v->options);
    }
    fprintf(out, "\nRight: %s\n", v->right);
    help_common(out);
    fprintf(out, "\nExample%s:\n%s", strchr(v->example, '\n')[1] != '\0' ? "s" : "", v->example);
}
