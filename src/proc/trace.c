/*
 * trace.c - see trace.h
 *
 * Depends on base, core, proc/scoreboard.
 */
#include "proc/trace.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unwind.h>

#define MAX_MODULES     96
#define ALT_STACK_BYTES ((size_t)64 * 1024)

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

/* A piece of code that is mapped. */
struct module {
    uintptr_t from, to, base;
    char name[SCORE_MODULE_BYTES];
};

struct modules {
    int n;
    struct module list[MAX_MODULES];
};

/* Two tables: one is read while the other is made anew. */
static struct modules tables[2];
static _Atomic(const struct modules *) known;
static _Atomic(struct scoreboard *) own_board;
static void *alt_stack = MAP_FAILED;

/* ---- modules ---- */

static int add_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : info->dlpi_name;
    struct modules *t = arg;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum && t->n < MAX_MODULES; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        struct module *m = &t->list[t->n];

        if (p->p_type != PT_LOAD || (p->p_flags & PF_X) == 0)
            continue;
        m->base = info->dlpi_addr;
        m->from = info->dlpi_addr + p->p_vaddr;
        m->to = m->from + p->p_memsz;
        snprintf(m->name, sizeof m->name, "%.*s", (int)sizeof m->name - 1,
                 name[0] != '\0' ? name : program_invocation_short_name);
        t->n++;
    }
    return 0;
}

void trace_look_at_modules(void)
{
    struct modules *next = atomic_load(&known) == &tables[0] ? &tables[1] : &tables[0];

    next->n = 0;
    (void)dl_iterate_phdr(add_module, next);
    atomic_store(&known, next);
}

/* ---- the handler: async-signal-safe from here on ---- */

struct walk {
    struct score_trace *trace;
    const struct modules *modules;
    uintptr_t interrupted;
    int seen;
};

static void add_frame(const struct walk *w, uintptr_t pc)
{
    struct score_frame *f = &w->trace->frames[w->trace->n];

    f->offset = pc;
    f->module[0] = '\0';
    for (int i = 0; i < w->modules->n; i++) {
        const struct module *m = &w->modules->list[i];

        if (pc < m->from || pc >= m->to)
            continue;
        f->offset = pc - m->base;
        for (size_t k = 0; k < sizeof f->module; k++)
            f->module[k] = m->name[k];
        break;
    }
    atomic_signal_fence(memory_order_release);
    w->trace->n++;
}

static _Unwind_Reason_Code handle_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *w = arg;
    uintptr_t pc = (uintptr_t)_Unwind_GetIP(context);

    if (pc == 0 || w->trace->n >= SCORE_TRACE_FRAMES)
        return _URC_END_OF_STACK;
    if (w->seen)
        add_frame(w, pc);
    else
        w->seen = pc == w->interrupted; /* before it: this handler and the way into it */
    return _URC_NO_REASON;
}

static uintptr_t interrupted_at(const void *context)
{
    const ucontext_t *u = context;

#if defined(__x86_64__)
    return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)u->uc_mcontext.pc;
#else
    (void)u;
    return 0;
#endif
}

static void write_trace(int sig, const siginfo_t *si, const void *context)
{
    struct scoreboard *board = atomic_load(&own_board);
    struct walk w = {.modules = atomic_load(&known), .interrupted = interrupted_at(context)};

    if (board == NULL || w.modules == NULL)
        return;
    w.trace = score_trace_begin(board);
    if (w.trace == NULL)
        return; /* one is being written: a crash within it, or another thread's */
    w.trace->signal = sig;
    w.trace->address = sig == SIGSEGV || sig == SIGBUS ? (uint64_t)(uintptr_t)si->si_addr : 0;
    add_frame(&w, w.interrupted);
    score_trace_part(board); /* what is there counts from now on, whatever becomes of the rest */
    (void)_Unwind_Backtrace(handle_frame, &w);
    score_trace_end(board);
}

static void handle_trace(int sig, siginfo_t *si, void *context)
{
    int saved = errno;

    write_trace(sig, si, context);
    errno = saved;
}

static void handle_crash(int sig, siginfo_t *si, void *context)
{
    write_trace(sig, si, context);
    (void)raise(sig); /* the default action is back (SA_RESETHAND); it comes when this handler returns */
}

/* ---- set-up ---- */

static void set_handler(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | flags};

    sigemptyset(&sa.sa_mask);
    sigaction(sig, &sa, NULL);
}

static _Unwind_Reason_Code handle_first_frame(struct _Unwind_Context *context, void *arg)
{
    (void)context;
    (void)arg;
    return _URC_END_OF_STACK;
}

void trace_install(struct scoreboard *board)
{
    trace_look_at_modules();
    (void)_Unwind_Backtrace(handle_first_frame, NULL); /* whatever it makes on its first use is made here */
    atomic_store(&own_board, board);
    set_handler(TRACE_SIGNAL, handle_trace, SA_RESTART);
    if (!TRACE_CRASHES)
        return;
    alt_stack = mmap(NULL, ALT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (alt_stack != MAP_FAILED) {
        const stack_t stack = {.ss_sp = alt_stack, .ss_size = ALT_STACK_BYTES};

        (void)sigaltstack(&stack, NULL);
    }
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        set_handler(crashes[i], handle_crash, (int)SA_RESETHAND);
}

void trace_uninstall(void)
{
    const stack_t none = {.ss_flags = SS_DISABLE};

    if (atomic_exchange(&own_board, NULL) == NULL)
        return;
    signal(TRACE_SIGNAL, SIG_IGN);
    if (!TRACE_CRASHES)
        return;
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        signal(crashes[i], SIG_DFL);
    (void)sigaltstack(&none, NULL);
    if (alt_stack != MAP_FAILED)
        munmap(alt_stack, ALT_STACK_BYTES);
    alt_stack = MAP_FAILED;
}

/* ---- for the master ---- */

static void hex(const uint8_t *bytes, size_t n, char out[TRACE_BUILD_BYTES])
{
    for (size_t i = 0; i < n && 2 * i + 2 < TRACE_BUILD_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void find_in_notes(const char *at, size_t left, char out[TRACE_BUILD_BYTES])
{
    while (left >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)at;
        size_t name = (note->n_namesz + 3u) & ~(size_t)3, desc = (note->n_descsz + 3u) & ~(size_t)3;
        size_t all = sizeof *note + name + desc;

        if (all > left)
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(at + sizeof *note, "GNU", 4) == 0)
            hex((const uint8_t *)at + sizeof *note + name, note->n_descsz, out);
        at += all;
        left -= all;
    }
}

/* The first one listed is the program itself. */
static int find_build_id(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            find_in_notes((const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), info->dlpi_phdr[i].p_memsz,
                          arg);
    return 1;
}

const char *trace_build_id(void)
{
    static char id[TRACE_BUILD_BYTES];

    if (id[0] == '\0')
        (void)dl_iterate_phdr(find_build_id, id);
    return id[0] != '\0' ? id : "unknown";
}

void trace_format(const struct score_trace *t, char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (int i = 0; i < t->n && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s%s0x%llx", i > 0 ? " " : "", t->frames[i].module,
                              t->frames[i].module[0] != '\0' ? "+" : "", (unsigned long long)t->frames[i].offset);
}
