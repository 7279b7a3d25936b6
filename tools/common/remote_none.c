/* SPDX-License-Identifier: ISC */
/*
 * Streams of NATS JetStream in a build without libnats: there are none.  Tools.
 */
#include "common/util.h"
#include "tools/common/remote.h"

struct remote *
remote_open(const char *address ATTR_UNUSED, char **why)
{
	*why = xstrdup("streams are not read: this program was built without "
	    "libnats");
	return NULL;
}

/* Nobody has one. */
void
remote_close(struct remote *remote ATTR_UNUSED)
{
}

const char *
remote_name(const struct remote *remote ATTR_UNUSED)
{
	return "";
}

void
remote_seek(struct remote *remote ATTR_UNUSED, int64_t start_ns ATTR_UNUSED)
{
}

enum remote_status
remote_next(struct remote *remote ATTR_UNUSED, bool follow ATTR_UNUSED,
    struct reader **reader ATTR_UNUSED, const char **why ATTR_UNUSED)
{
	return REMOTE_END;
}
