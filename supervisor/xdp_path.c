/* SPDX-License-Identifier: ISC */
/*
 * Inputs with `path: xdp'.  See xdp_path.h.  Supervisor only.
 */
#include <sys/socket.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/inputs.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/channels.h"
#include "supervisor/supervisor.h"
#include "supervisor/xdp_path_priv.h"
#include "supervisor/xdp_steer.h"
#include "supervisor/xdp_where.h"

/*** What is wanted. ***/

const struct listen_config *
xdp_wanted_by(const struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;

	return conf != NULL && conf->listen != NULL && conf->listen[0].xdp &&
	    !channel->foreign.worker ? &conf->listen[0] : NULL;
}

void
xdp_fill_key(const struct listen_config *listen, struct xdp_key *key)
{
	const struct sockaddr_in6 *in6 = (const void *)&listen->address;
	const struct sockaddr_in *in = (const void *)&listen->address;

	memset(key, 0, sizeof(*key));
	if (listen->address.ss_family == AF_INET6) {
		key->family = 6;
		key->port = in6->sin6_port;
		memcpy(key->address, &in6->sin6_addr, 16);
	} else {
		key->family = 4;
		key->port = in->sin_port;
		memcpy(key->address, &in->sin_addr, 4);
	}
}

/* Whether what the socket has brought is the channel's still, and counted on by
 * its segment: whether it is to have one now or not. */
static bool
is_for_it(const struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;
	const struct xdp_input *xdp = &channel->xdp;
	struct xdp_key key;

	if (conf == NULL || conf->listen == NULL || conf->inputs != 1 ||
	    conf->worker[0] != '\0' || channel->foreign.worker)
		return false;
	xdp_fill_key(&conf->listen[0], &key);
	key.ifindex = xdp->key.ifindex;
	key.vlan = xdp->key.vlan;
	return memcmp(&key, &xdp->key, sizeof(key)) == 0 &&
	    strcmp(xdp->interface, conf->listen[0].interface) == 0;
}

static bool
is_current(const struct channel *channel)
{
	const struct listen_config *listen = xdp_wanted_by(channel);
	const struct xdp_input *xdp = &channel->xdp;
	char why[XDP_WHY_SIZE];
	struct xdp_where where;

	return listen != NULL && !xdp->dead && xdp->key.ifindex != 0 &&
	    is_for_it(channel) &&
	    xdp->socket.queue == listen->queue &&
	    xdp->socket.frames == xdp_socket_frames(listen->receive_buffer) &&
	    (!xdp->told || channel->supervisor->xdp.place[xdp->place].steered
	    == (listen->steer != 0)) &&
	    xdp_where(listen->interface, &where, why) &&
	    where.ifindex == xdp->key.ifindex &&
	    where.vlan == xdp->key.vlan &&
	    /* The program would go on to see what nobody is to get. */
	    (where.up || where.vlan == 0);
}

/*** What there is. ***/

struct xdp_link *
xdp_find_link(const struct xdp_path *path, uint32_t ifindex)
{
	size_t i;

	for (i = 0; i < path->links; i++)
		if (path->link[i].ifindex == ifindex)
			return &path->link[i];
	return NULL;
}

const struct xdp_link *
xdp_path_link(const struct channel *channel)
{
	return channel->xdp.told ? xdp_find_link(&channel->supervisor->xdp,
	    channel->xdp.key.ifindex) : NULL;
}

/* What of its frames the channel's segment does not have. */
static uint32_t
waiting(const struct channel *channel)
{
	const struct segment *segment = &channel->segment;
	const struct input_state *input;

	if (segment->base == NULL)
		return 0;
	input = inputs_of(segment, ingest_current(&segment->state->ingest));
	return xdp_socket_waiting(&channel->xdp.socket,
	    input->xdp_socket == channel->xdp.socket.cookie ?
	    input->xdp_frames : 0);
}

/* Of a socket that nobody will receive from.  No worker is there. */
static void
count_left(struct channel *channel)
{
	const struct segment *segment = &channel->segment;
	const struct xdp_socket *socket = &channel->xdp.socket;
	uint32_t left = waiting(channel), drops;
	struct ingest_state *state;
	struct input_state *input;

	if (segment->base == NULL)
		return;
	state = inputs_begin(segment);
	input = inputs_of(segment, state);
	drops = (uint32_t)xdp_socket_drops(socket);
	if (input->xdp_socket == socket->cookie)
		drops -= input->xdp_drops_seen;	/* mod 2^32 */
	state->counts.kernel_dropped += left + drops;
	input->counts.kernel_dropped += left + drops;
	input->xdp_socket = input->xdp_frames = input->xdp_drops_seen = 0;
	ingest_commit(&segment->state->ingest);
	if (left > 0)
		log_info("channel %s: its AF_XDP socket is closed with %u "
		    "datagrams in it: counted as kernel_dropped",
		    channel->name, left);
}

void
xdp_free_place(struct xdp_use *place)
{
	if (place->steered)
		xdp_steer_no_more(place->ifindex, place->rule);
	*place = (struct xdp_use){0};
}

/* Whatever comes from now on is the ordinary socket's. */
static void
tell_no_more(struct channel *channel)
{
	struct xdp_path *path = &channel->supervisor->xdp;
	struct xdp_input *xdp = &channel->xdp;

	if (!xdp->told)
		return;
	xdp_free_place(&path->place[xdp->place]);
	xdp_program_delete(path->program, &xdp->key);
	xdp->told = false;
}

static void
drop_socket(struct channel *channel)
{
	tell_no_more(channel);
	count_left(channel);
	xdp_socket_close(&channel->xdp.socket);
	channel->xdp.dead = false;
	channel->xdp.starved = 0;
}

/*** What is done. ***/

static void
detach(struct xdp_path *path, struct xdp_link *link)
{
	close(link->fd);
	*link = path->link[--path->links];
}

void
xdp_path_settle(struct channel *channel)
{
	struct xdp_input *xdp = &channel->xdp;

	xdp->leaving = false;
	if (!xdp_has_socket(channel) || is_current(channel))
		return;
	/* Once more, for what it has brought. */
	tell_no_more(channel);
	if (!is_for_it(channel) || waiting(channel) == 0)
		drop_socket(channel);
}

void
xdp_path_leave(struct channel *channel)
{
	if (xdp_has_socket(channel) && !is_current(channel))
		tell_no_more(channel);
}

void
xdp_path_give(struct channel *channel)
{
	struct worker_state *state = channel->segment.state;
	struct xdp_input *xdp = &channel->xdp;

	/* One that is inherited lacks the program only; if it does not get
	 * that, it is of use for what it has brought. */
	if (channel->child.wanted && xdp_wanted_by(channel) != NULL &&
	    !xdp->told && (!xdp_has_socket(channel) || is_current(channel)) &&
	    !xdp_open(channel) && xdp_has_socket(channel) &&
	    waiting(channel) == 0)
		drop_socket(channel);
	xdp->given = xdp_has_socket(channel);
	state->xdp_socket = xdp->given ? xdp->socket.cookie : 0;
	state->xdp_ifindex = xdp->socket.ifindex;
	state->xdp_queue = (uint16_t)xdp->socket.queue;
	state->xdp_vlan = (uint16_t)xdp->key.vlan;
}

void
xdp_path_close(struct channel *channel)
{
	if (xdp_has_socket(channel))
		drop_socket(channel);
	channel->xdp.given = channel->xdp.leaving = false;
}

/* The worker that follows is given what is there then. */
static void
change_worker(struct channel *channel)
{
	if (channel->xdp.leaving || channel->child.pid == 0)
		return;
	channel->xdp.leaving = true;
	child_restart(&channel->child, true);
}

/* An interface may have come back by the same number. */
static void
look_for_death(struct channel *channel)
{
	struct xdp_path *path = &channel->supervisor->xdp;
	struct xdp_link *link = xdp_find_link(path, channel->xdp.key.ifindex);
	socklen_t size = sizeof(int);
	int error = 0;

	if (channel->xdp.dead || getsockopt(channel->xdp.socket.socket,
	    SOL_SOCKET, SO_ERROR, &error, &size) == -1 || error != ENETDOWN)
		return;
	channel->xdp.dead = true;
	if (link != NULL)
		detach(path, link);
}

/* Datagrams may be gone that nobody but the card can have counted. */
static void
look_for_hunger(struct channel *channel)
{
	struct xdp_input *xdp = &channel->xdp;
	uint64_t starved = xdp_socket_starved(&xdp->socket);

	if (starved == xdp->starved)
		return;
	xdp->starved = starved;
	log_limited(&xdp->limit_starved, "channel %s: %s has found no memory "
	    "for what came next: what it drops then is not in kernel_dropped "
	    "but in its own counts (ip -s link, ethtool -S); see "
	    "receive_buffer", channel->name, xdp->interface);
}

/* A rule that is gone is put again; if that is refused, the channel is told to
 * another worker without. */
static void
look_for_rule(const struct channel *channel, struct xdp_use *use,
    const char *interface)
{
	const struct xdp_input *xdp = &channel->xdp;
	char why[XDP_WHY_SIZE];

	if (!use->steered || xdp_steer_lasts(interface, use->rule))
		return;
	use->steered = xdp_steer(interface, &xdp->key, xdp->socket.queue,
	    &use->rule, why);
	if (use->steered)
		log_info("channel %s: interface %s has lost the rule that "
		    "steers to queue %u: put again", channel->name, interface,
		    xdp->socket.queue);
}

/* What is for this host comes to another hardware address now. */
static void
follow_address(const struct channel *channel, struct xdp_use *use,
    const uint8_t mac[6])
{
	const struct xdp_input *xdp = &channel->xdp;
	struct xdp_place place = {.socket = xdp->place,
	    .queue = xdp->socket.queue};

	if (memcmp(use->mac, mac, sizeof(use->mac)) == 0)
		return;
	memcpy(place.mac, mac, sizeof(place.mac));
	if (xdp_program_move(channel->supervisor->xdp.program, &xdp->key,
	    &place) == 0)
		memcpy(use->mac, mac, sizeof(use->mac));
}

static void
look_at_interface(const struct channel *channel)
{
	const struct xdp_input *xdp = &channel->xdp;
	struct xdp_use *use = &channel->supervisor->xdp.place[xdp->place];
	char why[XDP_WHY_SIZE];
	struct xdp_where where;

	/* Of a card that is down not all drivers tell. */
	if (!xdp->told || !xdp_where(xdp->interface, &where, why) ||
	    !where.up || where.ifindex != use->ifindex)
		return;
	look_for_rule(channel, use, where.name);
	follow_address(channel, use, where.mac);
}

static void
update_channel(struct channel *channel)
{
	struct xdp_input *xdp = &channel->xdp;
	bool wanted = channel->child.wanted;

	if (xdp_has_socket(channel)) {
		look_for_death(channel);
		look_for_hunger(channel);
		look_at_interface(channel);
	}
	if (xdp_has_socket(channel) && (!wanted || !is_current(channel))) {
		tell_no_more(channel);
		if (wanted && xdp->given)
			change_worker(channel);
	} else if (wanted && xdp_wanted_by(channel) != NULL &&
	    channel->child.state == CHILD_RUNNING &&
	    (xdp->told || xdp_open(channel) ? !xdp->given :
	    xdp->given && waiting(channel) == 0))
		change_worker(channel);
}

/* Interfaces that no channel uses are given back. */
static void
sweep(struct supervisor *supervisor)
{
	struct xdp_path *path = &supervisor->xdp;
	const struct channel *channel;
	bool used;
	size_t i;

	for (i = path->links; i-- > 0;) {
		used = false;
		TAILQ_FOREACH(channel, &supervisor->channels, link)
			used = used || xdp_path_link(channel) ==
			    &path->link[i];
		if (!used)
			detach(path, &path->link[i]);
	}
}

void
xdp_path_update(struct supervisor *supervisor)
{
	struct channel *channel;

	if (supervisor->phase == PHASE_STOPPING)
		return;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		update_channel(channel);
	sweep(supervisor);
}

void
xdp_path_changed(struct supervisor *supervisor)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		channel->xdp.retry_ns = 0;
}

void
xdp_path_end(struct supervisor *supervisor)
{
	struct xdp_path *path = &supervisor->xdp;
	size_t i;

	/* Before a successor can have the interface, and puts its own. */
	for (i = 0; i < XDP_INPUTS; i++)
		xdp_free_place(&path->place[i]);
	while (path->links > 0)
		close(path->link[--path->links].fd);
	free(path->link);
	xdp_program_free(path->program);
}

void
xdp_path_adopt(struct channel *channel, int socket, int memory)
{
	struct xdp_input *xdp = &channel->xdp;
	const struct worker_state *state = channel->segment.state;
	const struct listen_config *listen = xdp_wanted_by(channel);

	if (state == NULL || listen == NULL || !xdp_socket_adopt(&xdp->socket,
	    socket, memory, state->xdp_ifindex, state->xdp_queue)) {
		if (socket != -1)
			close(socket);
		if (memory != -1)
			close(memory);
		return;
	}
	xdp_fill_key(listen, &xdp->key);
	memcpy(xdp->interface, listen->interface, sizeof(xdp->interface));
	xdp->key.ifindex = xdp->socket.ifindex;
	xdp->key.vlan = state->xdp_vlan;
	xdp->given = channel->segment.state->xdp_socket == xdp->socket.cookie;
	xdp->starved = xdp_socket_starved(&xdp->socket);
}

/*** What is said. ***/

bool
xdp_path_ready(struct channel *channel)
{
	const struct listen_config *listen = xdp_wanted_by(channel);
	struct xdp_input *xdp = &channel->xdp;

	xdp->lack.error = 0;
	if (listen == NULL || !listen->xdp_only || xdp_has_socket(channel) ||
	    parts_first_input(&channel->parts) == -1 || xdp_open(channel))
		return true;
	xdp->lack.error = ENOSYS;
	xdp->lack.kernel = true;
	(void)snprintf(xdp->lack.detail, sizeof(xdp->lack.detail),
	    "`path: xdp' without `fallback': %s", xdp->why);
	return false;
}

bool
xdp_path_falls_back(const struct channel *channel)
{
	return xdp_wanted_by(channel) != NULL && !channel->xdp.told &&
	    channel->xdp.why[0] != '\0';
}
