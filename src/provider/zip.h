/*
 * zip.h - the directory of a zip archive, read with distrust
 *
 * Reads the central directory of an archive (DOCX, ODT and EPUB are archives) and adds up what it claims; nothing is
 * unpacked. A directory can lie about sizes: what a liar unpacks to is stopped by the sandbox's memory limit.
 *
 * Private to src/provider.
 */
#ifndef PROVIDER_ZIP_H
#define PROVIDER_ZIP_H

#include <stdbool.h>
#include <stdint.h>

/* More entries than any honest document has; each costs the parser memory. */
#define ZIP_MAX_ENTRIES 50000

struct zip_summary {
    int64_t entries;
    int64_t unpacked;       /* claimed bytes of all entries; saturates */
    bool encrypted;         /* an entry needs a password */
    bool has_document_xml;  /* word/document.xml */
    bool has_content_types; /* [Content_Types].xml */
    bool has_container_xml; /* META-INF/container.xml */
    bool has_content_xml;   /* content.xml */
    char mimetype[80];      /* content of a first, stored entry `mimetype`; "" if there is none */
};

enum zip_verdict {
    ZIP_OK,
    ZIP_BROKEN,   /* no directory, or one that does not hold together */
    ZIP_TOO_MANY, /* more than ZIP_MAX_ENTRIES */
};

/* fd is read with pread. A verdict, or a negative errno when reading failed. What was learnt is in *s in any case. */
int zip_summarise(int fd, int64_t size, struct zip_summary *s);

#endif
