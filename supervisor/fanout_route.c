/* SPDX-License-Identifier: ISC */
/*
 * Ports that several channels have: who gets what.  See fanout.h.  Supervisor
 * only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/fanout.h"
#include "supervisor/fanout_priv.h"
#include "supervisor/fdstore.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor.h"

/*** Who gets what. ***/

static void
close_place(struct place *place)
{
	if (place->hole)
		fdstore_remove_hole(place->identity);
	if (place->fd != -1)
		close(place->fd);
	place->fd = -1;
}

static void
drop_last(struct port *at)
{
	close_place(&at->place[--at->places]);
}

/* Where nobody hears it; -1: there is none. */
static int
find_hole(const struct port *at, bool mapped)
{
	size_t i;

	for (i = 0; i < at->places; i++)
		if (at->place[i].hole && at->place[i].mapped <= mapped)
			return (int)i;
	return -1;
}

/* What has just come takes the place of what is gone. */
static void
fill_holes(struct port *at)
{
	const struct place *last;
	int hole;

	while ((hole = find_hole(at, false)) != -1) {
		last = &at->place[at->places - 1];
		if (last->mapped)
			break;
		if ((size_t)hole == at->places - 1) {
			drop_last(at);
			continue;
		}
		close_place(&at->place[hole]);
		fanout_move_last(at, (size_t)hole);
	}
}

/* An input at a port that is shared. */
struct claim {
	struct port			*at;
	size_t				 order;	/* of the configuration */
	uint32_t			 shards;	/* 0: by its sources */
	const struct listen_config	*listen;
	int				 fd;	/* -1: of a stopped channel */
};

static int
compare_claims(const void *one, const void *other)
{
	const struct claim *a = one, *b = other;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Those of one port are neighbours; allocated. */
static struct claim *
list_claims(const struct fanout_user *user, size_t users, size_t *count)
{
	const struct parts *parts;
	struct claim *claim;
	struct port *at;
	size_t i, j, n = 0;

	for (i = 0; i < users; i++)
		n += user[i].conf->inputs;
	claim = xcalloc(n + 1, sizeof(*claim));
	for (i = n = 0; i < users; i++)
		for (j = 0; j < user[i].conf->inputs; j++) {
			at = fanout_find(&user[i].conf->listen[j].address);
			if (at == NULL)
				continue;
			parts = user[i].parts;
			claim[n] = (struct claim){at, n,
			    user[i].conf->shards, &user[i].conf->listen[j],
			    j < parts->inputs ? parts->input[j].fd : -1};
			n++;
		}
	if (n > 0)
		qsort(claim, n, sizeof(*claim), compare_claims);
	*count = n;
	return claim;
}

/* Where its datagrams go: to its socket, or, if it is stopped, where nobody
 * hears them; -1: there is neither.  *first is the first that has one. */
static int
take_place(const struct claim *claim, int *first)
{
	struct port *at = claim->at;
	const struct place *place = fanout_place(at, claim->fd);
	int number = place != NULL ? (int)(place - at->place) :
	    find_hole(at, true);

	if (place != NULL && *first == -1)
		*first = number;
	if (number != -1)
		at->place[number].mapped = true;
	return number;
}

static void
route_sources(const struct claim *claim, struct fanout_program *program,
    int *first)
{
	int number = take_place(claim, first);
	uint32_t i;

	for (i = 0; number != -1 && i < claim->listen->sources; i++)
		fanout_program_add(program, &claim->listen->source[i],
		    (uint32_t)number);
}

/* All claims at a port are of one channel's shards, or none is. */
static void
route_shards(const struct claim *claim, struct fanout_program *program,
    int *first)
{
	uint32_t place[SHARDS_MAX], i;
	int number[SHARDS_MAX];

	for (i = 0; i < claim->shards; i++)
		number[i] = take_place(&claim[i], first);
	for (i = 0; i < claim->shards; i++)
		place[i] = (uint32_t)(number[i] != -1 ? number[i] :
		    MAX_OF(*first, 0));
	fanout_program_share(program, place, claim->shards);
}

const char *
fanout_advice(int error)
{
	return error == ENOMEM ? " (raise net.core.optmem_max, or name fewer "
	    "sources)" : "";
}

/* It is tried again once a second, and whenever something happens. */
static void
note_error(struct port *at, int error)
{
	char text[ADDRESS_TEXT_SIZE];

	if (error == at->error)
		return;
	at->error = error;
	(void)format_address((const void *)&at->address, text);
	if (error == 0)
		log_info("the kernel shares out %s by source now", text);
	else
		log_warnx("the kernel does not take the program that shares "
		    "out %s: %s%s: datagrams there may come to the wrong "
		    "channel, which refuses them", text, strerror(error),
		    fanout_advice(error));
}

static void
route_port(struct port *at, const struct claim *claim, size_t claims)
{
	struct fanout_program program;
	int first = -1, error = 0;
	size_t i;

	fill_holes(at);
	for (i = 0; i < at->places; i++)
		at->place[i].mapped = false;
	fanout_program_begin(&program, at->address.ss_family);
	if (claims > 0 && claim->shards == claims)
		route_shards(claim, &program, &first);
	else
		for (i = 0; i < claims; i++)
			route_sources(&claim[i], &program, &first);
	first = MAX_OF(first, 0);
	if (at->places > 0) {
		at->place[first].mapped = true;
		if (fanout_program_attach(&program, (uint32_t)first,
		    at->place[0].fd) == -1 && at->places > 1)
			error = errno;
	}
	note_error(at, error);
	if (error != 0)
		fanout.changed = true;
}

void
fanout_route(const struct fanout_user *user, size_t users)
{
	size_t i, n, at = 0, count;
	struct claim *claim = list_claims(user, users, &count);

	fanout.changed = false;
	for (i = 0; i < fanout.ports; i++, at += n) {
		for (n = 0; at + n < count &&
		    claim[at + n].at == &fanout.port[i]; n++)
			continue;
		route_port(&fanout.port[i], &claim[at], n);
	}
	free(claim);
}

/*** Sockets that nobody has any more. ***/

static void
mark_parts(const struct parts *parts)
{
	const struct port *at;
	struct place *place;
	size_t i;

	for (i = 0; i < parts->inputs; i++) {
		at = fanout_find(&parts->input[i].listen.address);
		place = at == NULL ? NULL :
		    fanout_place(at, parts->input[i].fd);
		if (place != NULL)
			place->owned = true;
	}
}

static void
mark_list(const struct channel_list *list)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, list, link) {
		mark_parts(&channel->parts);
		mark_parts(&channel->next);
	}
}

/* What no channel has becomes a hole.  A service manager keeps these, too. */
static void
make_holes(struct port *at)
{
	struct place *place;
	size_t i;

	for (i = 0; i < at->places; i++) {
		place = &at->place[i];
		if (!place->owned && !place->hole) {
			place->hole = fanout.changed = true;
			(void)sockets_close_door(place->fd);
			fdstore_hole(place->fd, place->identity);
		}
		place->owned = false;
	}
}

/* A port that nobody has any more is free. */
static void
leave_port(struct port *at)
{
	size_t i;

	for (i = 0; i < at->places; i++)
		if (!at->place[i].hole)
			return;
	while (at->places > 0)
		drop_last(at);
}

void
fanout_update(const struct supervisor *supervisor)
{
	const struct channel *channel;
	struct fanout_user *user;
	size_t i, count = 0;

	if (fanout.ports == 0)
		return;
	mark_list(&supervisor->channels);
	mark_list(&supervisor->leaving);
	for (i = 0; i < fanout.ports; i++) {
		make_holes(&fanout.port[i]);
		leave_port(&fanout.port[i]);
	}
	if (!fanout.changed)
		return;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		count++;
	user = xcalloc(count + 1, sizeof(*user));
	count = 0;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		user[count++] = (struct fanout_user){channel->conf,
		    (channel->next.have & PART_INPUT) != 0 ? &channel->next :
		    &channel->parts};
	fanout_route(user, count);
	/* What no program names any more, and is last. */
	for (i = 0; i < fanout.ports; i++)
		fill_holes(&fanout.port[i]);
	free(user);
}
