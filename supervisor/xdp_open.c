/* SPDX-License-Identifier: ISC */
/*
 * Opens what an input with `path: xdp' takes: the program at its interface, and
 * its AF_XDP socket.  See xdp_path.h.  Supervisor only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/supervisor.h"
#include "supervisor/xdp_path_priv.h"
#include "supervisor/xdp_steer.h"
#include "supervisor/xdp_where.h"

/* How long until it is tried again, when nothing was heard. */
#define RETRY_NS	(10 * NS_PER_S)

static bool ATTR_PRINTF(2, 3)
cannot(struct xdp_input *xdp, const char *fmt, ...)
{
	char why[XDP_WHY_SIZE];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	memcpy(xdp->why, why, sizeof(why));
	return false;
}

bool
xdp_explain(const char *what, char why[XDP_WHY_SIZE])
{
	(void)snprintf(why, XDP_WHY_SIZE, "cannot %s: %s", what,
	    errno == EBUSY ? "somebody has the one that a queue can have" :
	    errno == EINVAL ? "there may be no such queue" :
	    errno == EPERM ? "this takes CAP_NET_RAW, which mcrelayd gives up "
	    "if nothing asks for it when it starts" : strerror(errno));
	return false;
}

static bool
load(struct xdp_path *path, char why[XDP_WHY_SIZE])
{
	if (path->program == NULL)
		path->program = xdp_program_load(why);
	return path->program != NULL;
}

static bool
attach(struct xdp_path *path, uint32_t ifindex, char why[XDP_WHY_SIZE])
{
	bool in_driver;
	int fd;

	if (xdp_find_link(path, ifindex) != NULL)
		return true;
	fd = xdp_program_attach(path->program, ifindex, &in_driver, why);
	if (fd == -1)
		return false;
	path->link = xrealloc(path->link, (path->links + 1) *
	    sizeof(*path->link));
	path->link[path->links++] = (struct xdp_link){.ifindex = ifindex,
	    .fd = fd, .in_driver = in_driver};
	return true;
}

static bool
tell(struct channel *channel, const char *interface, struct xdp_place *place,
    bool steer)
{
	struct xdp_path *path = &channel->supervisor->xdp;
	struct xdp_input *xdp = &channel->xdp;
	struct xdp_use *use = path->place;

	while (use < path->place + XDP_INPUTS && use->used)
		use++;
	place->socket = (uint32_t)(use - path->place);
	if (place->socket == XDP_INPUTS)
		return cannot(xdp, "there are %u such inputs already",
		    XDP_INPUTS);
	use->ifindex = xdp->key.ifindex;
	memcpy(use->mac, place->mac, sizeof(use->mac));
	use->steered = steer && xdp_steer(interface, &xdp->key,
	    place->queue, &use->rule, xdp->why);
	if (steer && !use->steered)
		return false;
	if (xdp_program_set(path->program, &xdp->key, place,
	    xdp->socket.socket) == -1) {
		(void)cannot(xdp, "cannot tell the program of the socket: %s",
		    strerror(errno));
		xdp_free_place(use);
		return false;
	}
	xdp->place = place->socket;
	xdp->told = use->used = true;
	return true;
}

/* All that it takes, or what that one lacks is in `why'. */
static bool
open_all(struct channel *channel, const struct listen_config *listen)
{
	struct xdp_path *path = &channel->supervisor->xdp;
	struct xdp_input *xdp = &channel->xdp;
	struct xdp_place place = {.queue = listen->queue};
	struct xdp_where where;
	const char *what;

	xdp_fill_key(listen, &xdp->key);
	memcpy(xdp->interface, listen->interface, sizeof(xdp->interface));
	if (!load(path, xdp->why) ||
	    !xdp_where(listen->interface, &where, xdp->why))
		return false;
	if (!where.up)
		return cannot(xdp, "interface %s is not up",
		    listen->interface);
	xdp->key.ifindex = where.ifindex;
	xdp->key.vlan = where.vlan;
	memcpy(place.mac, where.mac, sizeof(place.mac));
	if (!attach(path, where.ifindex, xdp->why))
		return false;
	if (!xdp_has_socket(channel) && xdp_socket_open(&xdp->socket,
	    where.ifindex, listen->queue, xdp_socket_frames(
	    listen->receive_buffer), &what) == -1)
		return xdp_explain(what, xdp->why);
	return tell(channel, where.name, &place, listen->steer != 0);
}

bool
xdp_open(struct channel *channel)
{
	const struct listen_config *listen = xdp_wanted_by(channel);
	struct xdp_input *xdp = &channel->xdp;
	bool had = xdp_has_socket(channel);
	char before[XDP_WHY_SIZE];
	uint64_t now = clock_monotonic_ns();

	if (now < xdp->retry_ns ||
	    parts_first_input(&channel->parts) == -1)
		return false;
	memcpy(before, xdp->why, sizeof(before));
	xdp->why[0] = '\0';
	if (open_all(channel, listen)) {
		log_info("channel %s: receives at queue %u of %s by AF_XDP",
		    channel->name, listen->queue, listen->interface);
		budget_tell(channel);
		return true;
	}
	/* One that is inherited has datagrams in it. */
	if (!had)
		xdp_socket_close(&xdp->socket);
	xdp->retry_ns = now + RETRY_NS;
	if (strcmp(before, xdp->why) != 0)
		log_warnx("channel %s: `path: xdp': %s: %s", channel->name,
		    xdp->why, listen->xdp_only ? "waits" :
		    "receives by its ordinary socket");
	return false;
}
