/* SPDX-License-Identifier: ISC */
/*
 * What all children of the supervisor say to it alike.
 */

#include "common/log.h"
#include "common/message.h"
#include "common/process.h"
#include "common/util.h"

void
message_end_with_supervisor(void)
{
	if (process_end_with_parent() == -1)
		fatal("cannot be killed with the supervisor");
}

void
message_ready(uint32_t sandbox)
{
	const struct message ready = {.type = MESSAGE_READY,
	    .sandbox = sandbox};

	if (fd_send(MESSAGE_FD, &ready, sizeof(ready), NULL, 0) == -1)
		fatal("the supervisor's socket (descriptor %d): "
		    "mcrelayd starts this program", MESSAGE_FD);
	fd_set_nonblock(MESSAGE_FD);
	fd_set_cloexec(MESSAGE_FD, 1);
}
