/*
 * paths.c - landlock: which files a role may read, write and execute
 *
 * Two tables: paths of every system, and paths that the configuration or the environment names. Absent ones are left
 * out; one that appears later, or again after it was removed, wants a restart. The master may read everything, since a reload may name any file, and
 * otherwise what all of its children may. Only it and workers execute: it its own executable, they the parser's sandbox
 * and what runs in that. Sockets are not files here: to connect is not landlock's business at this version.
 *
 * Depends on base, core.
 */
#include "base/landlock.h"
#include "confine/confine_int.h"
#include "core/reason.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define R   LANDLOCK_READ
#define RW  (LANDLOCK_READ | LANDLOCK_WRITE)
#define RWC (LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_CHANGE)

/* clang-format off */
static const struct {
    const char *path;
    unsigned roles, rights;
} fixed[] = {
    /* libraries, name service, certificates, time zones, libmagic's data, fonts and data of parsers */
    {"/usr", C | A | W, R}, {"/lib", C | A | W, R}, {"/lib64", C | A | W, R}, {"/etc", C | A | W, R},
    /* name service; the rest of /run is others', such as the credentials that systemd keeps there */
    {"/run/systemd", C | A | W, R}, {"/run/nscd", C | A | W, R}, {"/run/NetworkManager", C | A | W, R},
    {"/run/resolvconf", C | A | W, R}, {"/run/connman", C | A | W, R}, {"/run/dhcpcd", C | A | W, R},
    {"/dev/null", C | A | W, RW}, {"/dev/urandom", C | A | W, R},
    {"/proc", C | A | W, R}, {"/sys/fs/cgroup", C | A | W, R}, {"/sys/devices/system/cpu", C | A | W, R},
    {"/proc", W, RW}, /* a parser raises its own oom_score_adj before it becomes one */
    {"/", M, R},
    {"/usr", M, R | LANDLOCK_EXECUTE}, /* a reload may name another parser there */
};
/* clang-format on */

struct place {
    struct landlock l;
    unsigned roles;
    const struct conf *c;
    int exe_fd;
    int rc;
    char at[PATH_MAX]; /* the first that failed */
};

static void allow(struct place *p, unsigned roles, const char *path, unsigned rights)
{
    if (p->rc != 0 || !(p->roles & roles) || path == NULL || path[0] != '/')
        return;
    p->rc = landlock_allow_if_there(&p->l, path, rights);
    if (p->rc != 0)
        snprintf(p->at, sizeof p->at, "%s", path);
}

static void allow_below(struct place *p, unsigned roles, const char *dir, const char *name, unsigned rights)
{
    char path[PATH_MAX];

    if (dir != NULL && snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path)
        allow(p, roles, path, rights);
}

static void allow_dir_of(struct place *p, unsigned roles, const char *file)
{
    char dir[PATH_MAX];

    if (file == NULL || snprintf(dir, sizeof dir, "%s", file) >= (int)sizeof dir || strrchr(dir, '/') == dir)
        return;
    *strrchr(dir, '/') = '\0';
    allow(p, roles, dir, RWC);
}

/* One that is absent, or a script, cannot be executed: the parser says so when it is wanted. */
static void allow_program(struct place *p, unsigned roles, const char *path)
{
    if (p->rc == 0 && (p->roles & roles) && path != NULL && path[0] == '/')
        (void)landlock_allow_program(&p->l, path);
}

static void allow_programs(struct place *p)
{
    static const char *const helpers[] = {"docmill-sandbox", "docmill-html"};
    const char *dirs[] = {p->c->parser_libexec, DOCMILL_LIBEXEC_DIR, NULL};
    char self[PATH_MAX], path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof path, "/proc/self/fd/%d", p->exe_fd);
    if (p->exe_fd >= 0) /* also when its file was replaced meanwhile */
        allow_program(p, M, path);
    if (strrchr(self, '/') != NULL) {
        *strrchr(self, '/') = '\0';
        dirs[2] = self;
    }
    for (size_t d = 0; d < sizeof dirs / sizeof *dirs; d++)
        for (size_t i = 0; i < sizeof helpers / sizeof *helpers; i++)
            if (dirs[d] != NULL && snprintf(path, sizeof path, "%s/%s", dirs[d], helpers[i]) < (int)sizeof path)
                allow_program(p, W, path);
    allow_program(p, W, p->c->parser_pdftotext);
    allow_program(p, W, p->c->parser_pandoc);
}

/* The directory of what /etc/resolv.conf points to: its file is replaced now and then. */
static void allow_resolver(struct place *p)
{
    char path[PATH_MAX];

    if (realpath("/etc/resolv.conf", path) == NULL || strrchr(path, '/') == path)
        return;
    *strrchr(path, '/') = '\0';
    allow(p, C | A | W, path, R);
}

/* What libpq and libcurl read that is not below the system's directories. */
static void allow_credentials(struct place *p)
{
    static const char *const variables[] = {"PGPASSFILE", "PGSYSCONFDIR", "PGSERVICEFILE", "PGSSLROOTCERT",
                                            "PGSSLCERT",  "PGSSLKEY",     "SSL_CERT_FILE", "SSL_CERT_DIR"};
    static const char *const homes[] = {".pgpass", ".pg_service.conf", ".postgresql"};
    const char *home = getenv("HOME");

    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        allow(p, C | A | W, getenv(variables[i]), R);
    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++)
        allow_below(p, C | A | W, home, homes[i], R);
    allow(p, A | W, p->c->http_ca_file, R);
}

/* A rule names what is there, so that the store's directory has to be, as the store would make it; if it cannot be
 * made, the store says why. */
static void allow_store(struct place *p)
{
    const char *root = p->c->blob_fs_root;

    if (!(p->roles & (A | W)) || root == NULL || root[0] != '/')
        return;
    if (mkdir(root, 0700) == 0 || errno == EEXIST)
        allow(p, A | W, root, RWC);
}

static void allow_configured(struct place *p)
{
    allow(p, M, p->c->run_dir, RWC);
    allow_dir_of(p, M, p->c->log_file); /* opened anew at USR1 */
    allow_store(p);
    allow_resolver(p);
    allow(p, A | W, p->c->blob_spool, RWC);
    allow_credentials(p);
    allow_programs(p);
}

int confine_files(enum confine_role role, const struct conf *c, int exe_fd, struct error *e)
{
    static const struct landlock_also also = {.signals = true}; /* sd_notify's socket may be an abstract one */
    struct place p = {.roles = confine_bits(role), .c = c, .exe_fd = exe_fd};
    int rc = landlock_begin(&p.l, &also);

    if (rc != 0)
        return reason_error(e, REASON_sandbox_refused, -rc, "landlock of version %d or newer: %s",
                            LANDLOCK_LEAST_VERSION, strerror(-rc));
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        allow(&p, fixed[i].roles, fixed[i].path, fixed[i].rights);
    allow_configured(&p);
    if (p.rc != 0) {
        landlock_drop(&p.l);
        return reason_error(e, REASON_sandbox_refused, -p.rc, "landlock, %s: %s", p.at, strerror(-p.rc));
    }
    rc = landlock_enforce(&p.l);
    return rc == 0 ? 0 : reason_error(e, REASON_sandbox_refused, -rc, "landlock: %s", strerror(-rc));
}
