/*
 * trace.h - where a process is, written by itself when a signal asks or when it crashes
 *
 * The handler writes the addresses of its stack into the process's own slot of the scoreboard: plain stores into memory
 * that is mapped already. It opens, locks, allocates, formats and writes to no descriptor, so it cannot block on a full
 * pipe, nor on a lock that the interrupted code holds, nor take the log's place. The master reads the slot, names modules
 * and offsets with the build's id, and logs them; `addr2line -f -e docmilld 0x...` (with the build's debug symbols) says
 * the lines.
 *
 * What the handler relies on: _Unwind_Backtrace of libgcc, which since gcc 12 and glibc 2.35 finds a frame's tables
 * without a lock (_dl_find_object) and never allocates; and a table of the loaded modules, made before. The address that
 * was interrupted is stored first, so that a stack too broken to be walked, which crashes the walk, still leaves that.
 * The handlers run on a stack of their own: an overflown one is a reason to come here.
 *
 * TRACE_SIGNAL returns to where it came from. Crashes (SEGV, BUS, ILL, FPE, ABRT) go on to their default end, so that the
 * status of the death is what it would have been. With AddressSanitizer crashes are left to it.
 *
 * Depends on base, core, proc/scoreboard.
 */
#ifndef PROC_TRACE_H
#define PROC_TRACE_H

#include "proc/scoreboard.h"

#include <signal.h>

#define TRACE_SIGNAL      SIGUSR2
#define TRACE_BUILD_BYTES 41

#if defined(__SANITIZE_ADDRESS__)
#define TRACE_CRASHES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRACE_CRASHES 0
#endif
#endif
#ifndef TRACE_CRASHES
#define TRACE_CRASHES 1 /* crashes are ours to trace, not the sanitizer's */
#endif

/* Once in a process. board: with the own slot. */
void trace_install(struct scoreboard *board);
void trace_uninstall(void); /* before the scoreboard goes */
/* Modules that were loaded since are known from here on; not from a handler. */
void trace_look_at_modules(void);

/* The build's id in hexadecimal, "unknown" if the linker wrote none. */
const char *trace_build_id(void);
/* "docmilld+0x1234 libc.so.6+0x5678 ..." */
void trace_format(const struct score_trace *t, char *out, size_t size);

#endif
