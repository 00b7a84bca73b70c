/* rights.c - see rights.h */
#include "proc/rights.h"

#include "base/peer.h"
#include "core/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int rights_look_up(const struct conf *c, struct rights *r, struct error *e)
{
    const char *const names[CONTROL_RIGHT_MAX_] = {
        [CONTROL_READ] = c->control_read_group,
        [CONTROL_OPERATE] = c->control_group,
        [CONTROL_ADMIN] = c->control_admin_group,
    };

    for (int i = 0; i < CONTROL_RIGHT_MAX_; i++) {
        r->group[i] = (gid_t)-1;
        r->name[i][0] = '\0';
    }
    for (int i = 0; i < CONTROL_RIGHT_MAX_; i++) {
        if (names[i] == NULL)
            continue;
        r->group[i] = peer_group(names[i]);
        if (r->group[i] == (gid_t)-1)
            return reason_error(e, REASON_start_failed, EINVAL, "%s: there is no group \"%s\".",
                                control_right_key((enum control_right)i), names[i]);
        snprintf(r->name[i], sizeof r->name[i], "%s", names[i]);
    }
    return 0;
}

int rights_of_peer(const struct rights *r, int fd)
{
    if (peer_is_owner(fd))
        return CONTROL_RIGHT_MAX_ - 1;
    for (int i = CONTROL_RIGHT_MAX_ - 1; i >= 0; i--)
        if (peer_in_group(fd, r->group[i]))
            return i;
    return RIGHTS_NONE;
}

/* "of the group ops (control.group) or adm (control.admin_group)": those that have the right. */
static void name_groups(const struct rights *r, enum control_right wanted, char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (int i = (int)wanted; i < CONTROL_RIGHT_MAX_ && n < size; i++)
        if (r->group[i] != (gid_t)-1)
            n += (size_t)snprintf(out + n, size - n, "%s%s (%s)", n > 0 ? " or " : "", r->name[i],
                                  control_right_key((enum control_right)i));
}

int rights_refuse(const struct rights *r, const char *verb, int have, enum control_right wanted, struct error *e)
{
    char groups[256];

    name_groups(r, wanted, groups, sizeof groups);
    (void)reason_error(e, REASON_forbidden, EPERM, "\"%s\" wants the right %s; you have %s.", verb,
                       control_right_name(wanted), have < 0 ? "none" : control_right_name((enum control_right)have));
    if (groups[0] != '\0')
        error_hint(
            e, "Be root, the daemon's user, or a member of the group %s; group membership counts from the login on.",
            groups);
    else
        error_hint(e, "Be root or the daemon's user; %s may name a group that has it too.", control_right_key(wanted));
    return -EPERM;
}

int rights_groups(const struct rights *r, gid_t out[CONTROL_RIGHT_MAX_])
{
    int n = 0;

    for (int i = 0; i < CONTROL_RIGHT_MAX_; i++) {
        bool seen = r->group[i] == (gid_t)-1;

        for (int j = 0; j < n; j++)
            seen = seen || out[j] == r->group[i];
        if (!seen)
            out[n++] = r->group[i];
    }
    return n;
}
