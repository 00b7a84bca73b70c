/* docmilld.h - what the files of the daemon's command line share */
#ifndef BIN_DOCMILLD_H
#define BIN_DOCMILLD_H

#include "docmilld_cli.h"

#define X_EXIT(NAME, number, meaning) EXIT_##NAME = (number),
enum docmilld_exit { DOCMILLD_EXITS(X_EXIT) };
#undef X_EXIT

struct conf;

struct conf *docmilld_load(const char *path);                       /* NULL: said why on stderr */
int docmilld_migrate(int argc, char **argv, const char *conf_path); /* argv[0] is "migrate"; the exit status */
int docmilld_online(const char *conf_path);                         /* -t --online; the exit status */

#endif
