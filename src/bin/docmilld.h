/* docmilld.h - what the files of the daemon's command line share */
#ifndef BIN_DOCMILLD_H
#define BIN_DOCMILLD_H

enum docmilld_exit { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONF = 78 };

struct conf;

struct conf *docmilld_load(const char *path);                       /* NULL: said why on stderr */
int docmilld_migrate(int argc, char **argv, const char *conf_path); /* argv[0] is "migrate"; the exit status */

#endif
