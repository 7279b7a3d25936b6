/* SPDX-License-Identifier: ISC */
/*
 * Looking at the socket by which decimators show their streams.  mcrelay-web
 * only.
 *
 * No datum wakes us, and no more is read at a time than READ_MAX: what a
 * decimator shows beyond that it counts as lost.  While nothing comes there is
 * nothing to look for; the first packet wakes us then.
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdbool.h>

#include "common/live.h"
#include "common/util.h"
#include "web/streams.h"

#define LOOK_S		0.05
/* 40 MiB a second. */
#define READ_MAX	((size_t)2 * 1024 * 1024)
/* Of each packet, however small it is. */
#define PACKET_COST	512U
/* So often in vain, and it sleeps. */
#define IDLE_MAX	10U

static struct {
	ev_io		 first;		/* wakes us; or */
	ev_timer	 look;
	unsigned	 idle;
	streams_came	*came;
} watching;

/* False: there was nothing. */
static bool
look(void)
{
	static uint8_t packet[LIVE_PACKET_MAX] ATTR_ALIGNED(CACHE_LINE);
	size_t total = 0;
	ssize_t size;

	while (total < READ_MAX) {
		size = recv(watching.first.fd, packet, sizeof(packet),
		    MSG_DONTWAIT | MSG_TRUNC);
		if (size == -1)
			break;
		/* One that is too large is none.  One of nothing is the end:
		 * they have all gone, and we are about to. */
		if (size > 0)
			streams_packet(packet, (size_t)size > sizeof(packet) ?
			    0 : (size_t)size);
		total += (size_t)size + PACKET_COST;
	}
	if (total == 0)
		return false;
	streams_next();
	watching.came();
	return true;
}

static void
on_first(struct ev_loop *loop, ev_io *watcher, int events ATTR_UNUSED)
{
	ev_io_stop(loop, watcher);
	watching.idle = 0;
	ev_timer_set(&watching.look, 0., LOOK_S);
	ev_timer_start(loop, &watching.look);
}

static void
on_look(struct ev_loop *loop, ev_timer *watcher, int events ATTR_UNUSED)
{
	if (look())
		watching.idle = 0;
	else if (++watching.idle == IDLE_MAX) {
		ev_timer_stop(loop, watcher);
		ev_io_start(loop, &watching.first);
	}
}

void
watching_start(struct ev_loop *loop, int socket, streams_came *came)
{
	if (watching.came != NULL)
		return;
	watching.came = came;
	ev_timer_init(&watching.look, on_look, 0., LOOK_S);
	ev_io_init(&watching.first, on_first, socket, EV_READ);
	ev_io_start(loop, &watching.first);
}
