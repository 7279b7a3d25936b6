/* SPDX-License-Identifier: ISC */
/*
 * Which operands are streams.  Tools.
 */
#include <string.h>

#include "tools/common/remote.h"

bool
remote_is(const char *address)
{
	return strncmp(address, "nats://", 7) == 0 ||
	    strncmp(address, "tls://", 6) == 0;
}
