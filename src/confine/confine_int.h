/* confine_int.h - what the files of src/confine share */
#ifndef CONFINE_CONFINE_INT_H
#define CONFINE_CONFINE_INT_H

#include "confine/confine.h"

#define M (1u << CONFINE_MASTER)
#define C (1u << CONFINE_COORDINATOR)
#define A (1u << CONFINE_API)
#define W (1u << CONFINE_WORKER)

/* A role's bits in a table; the master's are everybody's, since its children inherit what it gives up. */
unsigned confine_bits(enum confine_role role);

int confine_files(enum confine_role role, const struct conf *c, int exe_fd, struct error *e) MUST_CHECK;
int confine_calls(enum confine_role role, struct error *e) MUST_CHECK;

#endif
