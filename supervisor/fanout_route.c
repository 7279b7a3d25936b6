/* SPDX-License-Identifier: ISC */
/*
 * Ports that several channels have: who gets what.  See fanout.h.  Supervisor
 * only.
 */
#include <stdlib.h>
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

/* -1: it is not there. */
static int
place_of(const struct port *at, int fd)
{
	ino_t identity = fanout_identity(fd);
	size_t i;

	for (i = 0; i < at->places && identity != 0; i++)
		if (at->place[i].identity == identity)
			return (int)i;
	return -1;
}

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

/* One input of a channel: of a stopped one there is no socket. */
static void
route_input(struct port *at, const struct listen_config *listen, int fd,
    struct fanout_program *program, int *first)
{
	int number = place_of(at, fd);
	uint32_t i;

	if (number != -1 && *first == -1)
		*first = number;
	if (number == -1)
		number = find_hole(at, true);
	if (number == -1)
		return;
	at->place[number].mapped = true;
	for (i = 0; i < listen->sources; i++)
		fanout_program_add(program, &listen->source[i],
		    (uint32_t)number);
}

static void
route_user(struct port *at, const struct fanout_user *user,
    struct fanout_program *program, int *first)
{
	const struct parts *parts = user->parts;
	size_t i;

	for (i = 0; i < user->conf->inputs; i++)
		if (address_compare(&user->conf->listen[i].address,
		    &at->address) == 0)
			route_input(at, &user->conf->listen[i],
			    i < parts->inputs ? parts->input[i].fd : -1,
			    program, first);
}

static void
route_port(struct port *at, const struct fanout_user *user, size_t users)
{
	struct fanout_program program;
	char text[ADDRESS_TEXT_SIZE];
	int first = -1;
	size_t i;

	fill_holes(at);
	for (i = 0; i < at->places; i++)
		at->place[i].mapped = false;
	fanout_program_begin(&program, at->address.ss_family);
	for (i = 0; i < users; i++)
		route_user(at, &user[i], &program, &first);
	if (at->places == 0)
		return;
	first = MAX_OF(first, 0);
	at->place[first].mapped = true;
	if (fanout_program_attach(&program, (uint32_t)first,
	    at->place[0].fd) == 0)
		return;
	(void)format_address((const void *)&at->address, text);
	log_warn("the kernel does not take the program that shares out %s: "
	    "datagrams there may be refused by the wrong channel", text);
}

void
fanout_route(const struct fanout_user *user, size_t users)
{
	size_t i;

	for (i = 0; i < fanout.ports; i++)
		route_port(&fanout.port[i], user, users);
	fanout.changed = false;
}

/*** Sockets that nobody has any more. ***/

static bool
parts_have(const struct parts *parts, const struct port *at, ino_t identity)
{
	size_t i;

	for (i = 0; i < parts->inputs; i++)
		if (address_compare(&parts->input[i].listen.address,
		    &at->address) == 0 &&
		    fanout_identity(parts->input[i].fd) == identity)
			return true;
	return false;
}

static bool
list_has(const struct channel_list *list, const struct port *at,
    ino_t identity)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, list, link)
		if (parts_have(&channel->parts, at, identity) ||
		    parts_have(&channel->next, at, identity))
			return true;
	return false;
}

/* Whether one has become a hole.  A service manager keeps these, too. */
static bool
find_holes(struct port *at, const struct supervisor *supervisor)
{
	struct place *place;
	bool any = false;
	size_t i;

	for (i = 0; i < at->places; i++) {
		place = &at->place[i];
		if (place->hole || list_has(&supervisor->channels, at,
		    place->identity) || list_has(&supervisor->leaving, at,
		    place->identity))
			continue;
		place->hole = any = true;
		(void)sockets_close_door(place->fd);
		fdstore_hole(place->fd, place->identity);
	}
	return any;
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

	for (i = 0; i < fanout.ports; i++) {
		if (find_holes(&fanout.port[i], supervisor))
			fanout.changed = true;
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
