/* SPDX-License-Identifier: ISC */
/*
 * Ports that several channels have: which sockets are where.  See fanout.h.
 * Supervisor only.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/fanout.h"
#include "supervisor/fanout_priv.h"
#include "supervisor/inheritance.h"
#include "supervisor/sockets_priv.h"
#include "supervisor/supervisor.h"

struct fanout_ports	fanout;

/* Where it is, or would be. */
static size_t
find_number(const struct sockaddr_storage *address)
{
	size_t from = 0, to = fanout.ports, middle;

	while (from < to) {
		middle = (from + to) / 2;
		if (address_compare(&fanout.port[middle].address, address) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct port *
fanout_find(const struct sockaddr_storage *address)
{
	size_t number = find_number(address);

	return number < fanout.ports && address_compare(
	    &fanout.port[number].address, address) == 0 ?
	    &fanout.port[number] : NULL;
}

bool
fanout_has(const struct sockaddr_storage *address)
{
	return fanout_find(address) != NULL;
}

int
fanout_error(const struct sockaddr_storage *address)
{
	const struct port *at = fanout_find(address);

	return at != NULL ? at->error : 0;
}

static struct port *
expect(const struct sockaddr_storage *address)
{
	size_t number = find_number(address);
	struct port *at = fanout_find(address);

	if (at != NULL)
		return at;
	fanout.port = xgrow(fanout.port, fanout.ports, sizeof(*fanout.port));
	at = &fanout.port[number];
	memmove(at + 1, at, (fanout.ports++ - number) * sizeof(*at));
	memset(at, 0, sizeof(*at));
	at->address = *address;
	return at;
}

/* A number that no other socket has; 0: there is none. */
static ino_t
identity_of(int fd)
{
	struct stat st;

	return fd != -1 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/*** A socket's place. ***/

static void
note_place(int fd, size_t number)
{
	struct linger place = {.l_onoff = 1, .l_linger = (int)number};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &place, sizeof(place));
}

/* -1: it is in no group. */
static int
noted_place(int fd)
{
	struct linger place;
	socklen_t size = sizeof(place);

	if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &place, &size) == -1 ||
	    place.l_onoff == 0)
		return -1;
	return place.l_linger;
}

struct place *
fanout_place(const struct port *at, int fd)
{
	int number = fd == -1 ? -1 : noted_place(fd);

	return number >= 0 && (size_t)number < at->places &&
	    at->place[number].identity == identity_of(fd) ?
	    &at->place[number] : NULL;
}

/* `mapped': as far as we know there is a program that names it. */
static void
set_place(struct port *at, size_t number, int fd, bool mapped)
{
	while (at->places <= number) {
		at->place = xgrow(at->place, at->places, sizeof(*at->place));
		at->place[at->places++] = (struct place){.fd = -1};
	}
	if (at->place[number].fd != -1)
		close(at->place[number].fd);
	at->place[number] = (struct place){
	    .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), .mapped = mapped,
	    .identity = identity_of(fd)};
	note_place(fd, number);
	fanout.changed = true;
}

void
fanout_move_last(struct port *at, size_t number)
{
	at->place[number] = at->place[--at->places];
	note_place(at->place[number].fd, number);
}

/*** Opening. ***/

static int
bind_to(int fd, const struct sockaddr_storage *address)
{
	return bind(fd, sockets_generic(address),
	    sockaddr_size(sockets_generic(address)));
}

/*
 * Nobody else may have the port.  The program, which has to be there before the
 * socket is bound, does nothing as long as that is alone, and makes it one that
 * others can join later without a moment in which the kernel shares out.
 */
static int
bind_alone(int fd, const struct sockaddr_storage *address)
{
	struct fanout_program program;

	if (sockets_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0) {
		fanout_program_begin(&program, address->ss_family);
		(void)fanout_program_attach(&program, 0, fd);
	}
	(void)sockets_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 0);
	return bind_to(fd, address);
}

int
fanout_bind(int fd, const struct sockaddr_storage *address)
{
	struct port *at = fanout_find(address);

	if (at == NULL)
		return bind_alone(fd, address);
	if (at->places == 0) {
		if (bind_alone(fd, address) == -1 || sockets_set_int(fd,
		    SOL_SOCKET, SO_REUSEPORT, 1) == -1)
			return -1;
	} else if (sockets_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1 ||
	    bind_to(fd, address) == -1)
		return -1;
	set_place(at, at->places, fd, false);
	return 0;
}

/* One that has been alone until now is the first. */
static void
promote(int fd, struct port *at)
{
	if (at != NULL && at->places == 0 && sockets_bound_index(fd) == 0 &&
	    sockets_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0)
		set_place(at, 0, fd, true);
}

static void
adopt(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	int number;

	memset(&address, 0, sizeof(address));
	if (fd == -1 || getsockname(fd, (void *)&address, &size) == -1 ||
	    (address.ss_family != AF_INET && address.ss_family != AF_INET6) ||
	    address_port(&address) == 0)
		return;
	number = noted_place(fd);
	if (number == -1)
		promote(fd, fanout_find(&address));
	else if (number >= 0 && number <= UINT16_MAX)
		set_place(expect(&address), (size_t)number, fd, true);
}

/* What is missing has been closed: the kernel has moved the last. */
static void
close_gaps(void)
{
	struct port *at;
	size_t i, j;

	for (i = 0; i < fanout.ports; i++) {
		at = &fanout.port[i];
		for (j = 0; j < at->places; j++)
			while (j < at->places && at->place[j].fd == -1)
				if (j + 1 == at->places)
					at->places--;
				else
					fanout_move_last(at, j);
	}
}

void
fanout_inherit(const struct inheritance *inheritance)
{
	size_t i, j;

	for (i = 0; i < inheritance->places; i++)
		adopt(inheritance->place[i]);
	for (i = 0; i < inheritance->channels; i++)
		for (j = 0; j < INPUTS_MAX; j++)
			adopt(inheritance->channel[i].input[j].fd);
	close_gaps();
}

/*** Which ports. ***/

struct wanted {
	const struct sockaddr_storage	*address;
	size_t				 channel;	/* its number */
};

static int
compare_wanted(const void *one, const void *other)
{
	const struct wanted *a = one, *b = other;

	return address_compare(a->address, b->address);
}

/* All inputs, neighbours if they have one address; allocated. */
static struct wanted *
list_wanted(const struct conf *conf, size_t *count)
{
	struct wanted *wanted;
	size_t i, j, n = 0;

	for (i = 0; i < conf->channels; i++)
		n += conf->channel[i].inputs;
	wanted = xcalloc(n + 1, sizeof(*wanted));
	for (i = n = 0; i < conf->channels; i++)
		for (j = 0; j < conf->channel[i].inputs; j++)
			wanted[n++] = (struct wanted){
			    &conf->channel[i].listen[j].address, i};
	if (n > 0)
		qsort(wanted, n, sizeof(*wanted), compare_wanted);
	*count = n;
	return wanted;
}

/* How many of them, from the first, are at one address; *several: of more than
 * one channel, and a port for which there has to be a program. */
static size_t
same_address(const struct wanted *first, size_t left, bool *several)
{
	bool others = false;
	size_t n;

	for (n = 1; n < left && compare_wanted(first, &first[n]) == 0; n++)
		if (first[n].channel != first->channel)
			others = true;
	*several = others && address_port(first->address) != 0 &&
	    !udp_is_group(first->address);
	return n;
}

static void
promote_parts(const struct parts *parts)
{
	const struct input *input;
	size_t i;

	for (i = 0; i < parts->inputs; i++) {
		input = &parts->input[i];
		if (input->fd != -1 && input->bound)
			promote(input->fd,
			    fanout_find(&input->listen.address));
	}
}

void
fanout_expect(const struct supervisor *supervisor, const struct conf *conf)
{
	const struct channel *channel;
	struct wanted *wanted;
	size_t i, n, count;
	bool several;

	wanted = list_wanted(conf, &count);
	for (i = 0; i < count; i += n) {
		n = same_address(&wanted[i], count - i, &several);
		if (several)
			(void)expect(wanted[i].address);
	}
	free(wanted);
	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		promote_parts(&channel->next);
		promote_parts(&channel->parts);
	}
}

uint64_t *
fanout_count(const struct conf *conf)
{
	uint64_t *inputs = xcalloc(conf->channels + 1, sizeof(*inputs));
	struct wanted *wanted;
	size_t i, j, n, count;
	bool several;

	wanted = list_wanted(conf, &count);
	for (i = 0; i < count; i += n) {
		n = same_address(&wanted[i], count - i, &several);
		for (j = 0; several && j < n; j++)
			inputs[wanted[i + j].channel]++;
	}
	free(wanted);
	return inputs;
}

int
fanout_descriptor(size_t number)
{
	size_t i;

	for (i = 0; i < fanout.ports; number -= fanout.port[i++].places)
		if (number < fanout.port[i].places)
			return fanout.port[i].place[number].fd;
	return -1;
}
