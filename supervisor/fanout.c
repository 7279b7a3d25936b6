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

static struct port *
find(const struct sockaddr_storage *address)
{
	size_t i;

	for (i = 0; i < fanout.ports; i++)
		if (address_compare(&fanout.port[i].address, address) == 0)
			return &fanout.port[i];
	return NULL;
}

bool
fanout_has(const struct sockaddr_storage *address)
{
	return find(address) != NULL;
}

static struct port *
expect(const struct sockaddr_storage *address)
{
	struct port *at = find(address);

	if (at != NULL)
		return at;
	fanout.port = xgrow(fanout.port, fanout.ports, sizeof(*fanout.port));
	at = &fanout.port[fanout.ports++];
	memset(at, 0, sizeof(*at));
	at->address = *address;
	return at;
}

ino_t
fanout_identity(int fd)
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
	    .identity = fanout_identity(fd)};
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
	struct port *at = find(address);

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
		promote(fd, find(&address));
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
	const struct channel_conf	*by;
};

static int
compare_wanted(const void *one, const void *other)
{
	const struct wanted *a = one, *b = other;

	return address_compare(a->address, b->address);
}

static void
promote_parts(const struct parts *parts)
{
	const struct input *input;
	size_t i;

	for (i = 0; i < parts->inputs; i++) {
		input = &parts->input[i];
		if (input->fd != -1 && input->bound)
			promote(input->fd, find(&input->listen.address));
	}
}

void
fanout_expect(const struct supervisor *supervisor, const struct conf *conf)
{
	struct wanted *wanted;
	const struct channel *channel;
	size_t i, j, count = 0;

	for (i = 0; i < conf->channels; i++)
		count += conf->channel[i].inputs;
	wanted = xcalloc(count + 1, sizeof(*wanted));
	for (i = count = 0; i < conf->channels; i++)
		for (j = 0; j < conf->channel[i].inputs; j++)
			wanted[count++] = (struct wanted){
			    &conf->channel[i].listen[j].address,
			    &conf->channel[i]};
	qsort(wanted, count, sizeof(*wanted), compare_wanted);
	for (i = 1; i < count; i++)
		if (compare_wanted(&wanted[i - 1], &wanted[i]) == 0 &&
		    wanted[i].by != wanted[i - 1].by &&
		    address_port(wanted[i].address) != 0 &&
		    !udp_is_group(wanted[i].address))
			(void)expect(wanted[i].address);
	free(wanted);
	TAILQ_FOREACH(channel, &supervisor->channels, link) {
		promote_parts(&channel->next);
		promote_parts(&channel->parts);
	}
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
