/* acl.c - see acl.h */
#include "base/acl.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/xattr.h>

#define READ_WRITE  (ACL_READ | ACL_WRITE)
#define FIXED       4 /* entries beside the groups: owner, owning group, mask, others */
#define ENTRIES_MAX (FIXED + ACL_GROUPS_MAX)

struct list {
    struct posix_acl_xattr_header head;
    struct posix_acl_xattr_entry entry[ENTRIES_MAX];
};

static struct posix_acl_xattr_entry entry(uint16_t tag, uint16_t perm, uint32_t id)
{
    return (struct posix_acl_xattr_entry){.e_tag = htole16(tag), .e_perm = htole16(perm), .e_id = htole32(id)};
}

static int by_number(const void *a, const void *b)
{
    gid_t x = *(const gid_t *)a;
    gid_t y = *(const gid_t *)b;

    return x < y ? -1 : x > y;
}

int acl_allow_groups(const char *path, const gid_t *groups, int n)
{
    struct list l = {.head = {htole32(POSIX_ACL_XATTR_VERSION)}};
    gid_t sorted[ACL_GROUPS_MAX]; /* as the kernel wants the entries of one kind */
    int k = 0;

    if (n < 0 || n > ACL_GROUPS_MAX)
        return -EINVAL;
    for (int i = 0; i < n; i++)
        sorted[i] = groups[i];
    qsort(sorted, (size_t)n, sizeof sorted[0], by_number);
    l.entry[k++] = entry(ACL_USER_OBJ, READ_WRITE, (uint32_t)ACL_UNDEFINED_ID);
    l.entry[k++] = entry(ACL_GROUP_OBJ, 0, (uint32_t)ACL_UNDEFINED_ID);
    for (int i = 0; i < n; i++)
        l.entry[k++] = entry(ACL_GROUP, READ_WRITE, sorted[i]);
    l.entry[k++] = entry(ACL_MASK, READ_WRITE, (uint32_t)ACL_UNDEFINED_ID);
    l.entry[k++] = entry(ACL_OTHER, 0, (uint32_t)ACL_UNDEFINED_ID);
    if (setxattr(path, "system.posix_acl_access", &l, sizeof l.head + (size_t)k * sizeof l.entry[0], 0) != 0)
        return -errno;
    return 0;
}
