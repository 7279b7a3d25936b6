/* SPDX-License-Identifier: ISC */
/*
 * Captures in a build without libpcap: there are none.  Tools.
 */
#include "common/util.h"
#include "tools/common/capture.h"

struct capture *
capture_open(const char *path ATTR_UNUSED, char **why)
{
	*why = xstrdup("a capture, and this program was built without "
	    "libpcap");
	return NULL;
}

/* Nobody has one. */
void
capture_close(struct capture *capture ATTR_UNUSED)
{
}

enum capture_status
capture_next(struct capture *capture ATTR_UNUSED,
    struct capture_datagram *datagram ATTR_UNUSED,
    const char **why ATTR_UNUSED)
{
	return CAPTURE_END;
}

void
capture_left_out(const struct capture *capture ATTR_UNUSED,
    uint64_t *fragments, uint64_t *cut)
{
	*fragments = *cut = 0;
}
