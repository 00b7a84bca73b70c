/*
 * helper_master.c - the real supervisor over children from another executable
 *
 * usage: helper_master CONF CHILD - runs master_run() with the configuration; every child is exec'd from CHILD.
 */
#include "base/log.h"
#include "core/conf.h"
#include "master/master.h"

#include <fcntl.h>
#include <stdio.h>
#include <talloc.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct error e = {0};
    struct master_options o = {0};
    struct conf *c;
    int r;

    if (argc != 3)
        return 2;
    log_init("master", LOG_LVL_DEBUG);
    c = conf_load(NULL, argv[1], &e);
    o.conf = c;
    o.conf_path = argv[1];
    o.exe_fd = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (c == NULL || o.exe_fd < 0) {
        fprintf(stderr, "helper_master: %s\n", e.message);
        return 2;
    }
    r = master_run(&o);
    close(o.exe_fd);
    talloc_free(c);
    return r;
}
