/* SPDX-License-Identifier: ISC */
/*
 * The service manager's fd store.  Supervisor only.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/conf/address.h"
#include "supervisor/fdstore.h"
#include "supervisor/notify.h"
#include "supervisor/supervisor.h"

#define INPUT		"in"	/* then which, if not the first */
#define FEED		"feed."
#define XDP_SOCKET	"xdp."
#define XDP_MEMORY	"frames."
#define SEGMENT		"seg."
#define HOLE		"place."	/* then the socket's identity */
/* Of images; their layout follows. */
static const char	*const image_name[] = {
	[IMAGE_DAEMON]	= "program.",
	[IMAGE_WORKER]	= "worker.",
};
/* A prefix and a channel's name. */
#define PREFIX_SIZE	8
#define NAME_SIZE	(CHANNEL_NAME_MAX + PREFIX_SIZE)

/* SD_LISTEN_FDS_START */
#define FIRST_FD	3

/* An input has been removed, and the manager may not have got to it. */
static bool	unsettled;

/*** What comes back. ***/

/* False: that is none of its names. */
static bool
receive_image(struct images *images, const char *name, int fd)
{
	struct image *image;
	size_t i, length;

	for (i = 0; i < NITEMS(image_name); i++) {
		length = strlen(image_name[i]);
		if (strncmp(name, image_name[i], length) != 0)
			continue;
		image = images_add(images, strtoull(name + length, NULL, 16));
		if (image == NULL)
			close(fd);
		else {
			if (image->fd[i] != -1)
				close(image->fd[i]);
			image->fd[i] = fd;
		}
		return true;
	}
	return false;
}

/* Which input it is; -1: that is no name of one. */
static int
input_number(const char *name)
{
	char *end;
	long number;

	if (strncmp(name, INPUT, strlen(INPUT)) != 0)
		return -1;
	name += strlen(INPUT);
	if (name[0] == '.')
		return 0;
	number = name[0] >= '1' && name[0] <= '9' ? strtol(name, &end, 10) : 0;
	return number > 0 && number < INPUTS_MAX && *end == '.' ? (int)number :
	    -1;
}

/* Whether it has a port. */
static bool
is_bound(int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t size = sizeof(address);

	return getsockname(fd, (void *)&address, &size) == 0 &&
	    address_port(&address) != 0;
}

static void
receive_one(struct inheritance *inheritance, const char *name, int fd)
{
	struct inherited *each;
	int *place, number;

	if (receive_image(&inheritance->images, name, fd))
		return;
	if ((number = input_number(name)) != -1) {
		each = inheritance_add(inheritance, strchr(name, '.') + 1);
		each->input[number].unbound = !is_bound(fd);
		place = &each->input[number].fd;
	} else if (strncmp(name, FEED, strlen(FEED)) == 0) {
		each = inheritance_add(inheritance, name + strlen(FEED));
		place = &each->feed;
	} else if (strncmp(name, SEGMENT, strlen(SEGMENT)) == 0) {
		each = inheritance_add(inheritance, name + strlen(SEGMENT));
		place = &each->segment;
	} else if (strncmp(name, XDP_SOCKET, strlen(XDP_SOCKET)) == 0) {
		each = inheritance_add(inheritance, name + strlen(XDP_SOCKET));
		place = &each->xdp_socket;
	} else if (strncmp(name, XDP_MEMORY, strlen(XDP_MEMORY)) == 0) {
		each = inheritance_add(inheritance, name + strlen(XDP_MEMORY));
		place = &each->xdp_memory;
	} else {
		if (strncmp(name, HOLE, strlen(HOLE)) == 0)
			inheritance_add_place(inheritance, fd);
		return;
	}
	/* Of two of a name the later one was stored later. */
	if (*place != -1)
		close(*place);
	*place = fd;
}

static void
receive_all(struct inheritance *inheritance, char *names, int count)
{
	char *name;
	int fd;

	for (fd = FIRST_FD; fd < FIRST_FD + count; fd++) {
		name = strsep(&names, ":");
		if (name == NULL || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
			return;
		receive_one(inheritance, name, fd);
	}
}

struct inheritance *
fdstore_receive(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	struct inheritance *inheritance = NULL;
	long count = fds != NULL ? strtol(fds, NULL, 10) : 0;
	char *copy;

	if (pid != NULL && strtol(pid, NULL, 10) == (long)getpid() &&
	    count > 0 && count < INT32_MAX - FIRST_FD && names != NULL) {
		copy = xstrdup(names);
		inheritance = inheritance_new();
		receive_all(inheritance, copy, (int)count);
		free(copy);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return inheritance;
}

/*** What is kept. ***/

static void
remove_name(const char *prefix, const char *name)
{
	char text[NAME_SIZE];

	snprintf(text, sizeof(text), "%s%s", prefix, name);
	(void)notify_remove(text);
}

/* A number that a socket or memory file shares with no other. */
static ino_t
identity(int fd)
{
	struct stat st;

	return fd != -1 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void
keep(const char *prefix, const char *name, int fd, ino_t *stored)
{
	ino_t now = identity(fd);
	char text[NAME_SIZE];

	if (now == *stored)
		return;
	snprintf(text, sizeof(text), "%s%s", prefix, name);
	if (*stored != 0 && !notify_remove(text))
		return;
	*stored = 0;
	if (now != 0 && notify_store(text, fd))
		*stored = now;
}

/* The first has the name that it has always had. */
static void
input_prefix(size_t i, char prefix[static PREFIX_SIZE])
{
	if (i == 0)
		snprintf(prefix, PREFIX_SIZE, "%s.", INPUT);
	else
		snprintf(prefix, PREFIX_SIZE, "%s%u.", INPUT,
		    (unsigned)i % INPUTS_MAX);
}

/* -1: there is none of this number. */
static void
keep_input(struct channel *channel, size_t i, int fd)
{
	ino_t before = channel->stored_input[i];
	char prefix[PREFIX_SIZE];

	input_prefix(i, prefix);
	keep(prefix, channel->name, fd, &channel->stored_input[i]);
	if (before != 0 && channel->stored_input[i] != before)
		unsettled = true;
}

void
fdstore_channel(struct channel *channel)
{
	const struct parts *parts = &channel->parts;
	size_t i;

	if (!notify_active())
		return;
	/* What it keeps by one name it does not take by another. */
	for (i = 0; i < INPUTS_MAX; i++)
		if (channel->stored_input[i] != 0 && (i >= parts->inputs ||
		    channel->stored_input[i] != identity(parts->input[i].fd)))
			keep_input(channel, i, -1);
	for (i = 0; i < parts->inputs; i++)
		keep_input(channel, i, parts->input[i].fd);
	keep(FEED, channel->name, channel->parts.feed,
	    &channel->stored_feed);
	keep(XDP_SOCKET, channel->name, channel->xdp.socket.socket,
	    &channel->stored_xdp[0]);
	keep(XDP_MEMORY, channel->name, channel->xdp.socket.memory,
	    &channel->stored_xdp[1]);
	keep(SEGMENT, channel->name, foreign_or_own(channel),
	    &channel->stored_segment);
}

static void
hole_text(ino_t identity, char text[static NAME_SIZE])
{
	snprintf(text, NAME_SIZE, HOLE "%ju", (uintmax_t)identity);
}

void
fdstore_hole(int fd, ino_t identity)
{
	char text[NAME_SIZE];

	hole_text(identity, text);
	if (notify_active())
		(void)notify_store(text, fd);
}

void
fdstore_remove_hole(ino_t identity)
{
	char text[NAME_SIZE];

	hole_text(identity, text);
	if (notify_active() && notify_remove(text))
		notify_barrier();
}

static void
image_text(const struct image *image, size_t i, char text[static NAME_SIZE])
{
	snprintf(text, NAME_SIZE, "%s%016" PRIx64, image_name[i],
	    image->layout);
}

void
fdstore_image(const struct image *image)
{
	char text[NAME_SIZE];
	size_t i;

	if (!notify_active())
		return;
	fdstore_remove_image(image);
	for (i = 0; i < NITEMS(image_name); i++) {
		image_text(image, i, text);
		if (image->fd[i] != -1)
			(void)notify_store(text, image->fd[i]);
	}
}

void
fdstore_remove_image(const struct image *image)
{
	char text[NAME_SIZE];
	size_t i;

	for (i = 0; i < NITEMS(image_name) && notify_active(); i++) {
		image_text(image, i, text);
		(void)notify_remove(text);
	}
}

void
fdstore_update(struct supervisor *supervisor)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		fdstore_channel(channel);
}

void
fdstore_inherited(struct channel *channel, const struct inherited *from)
{
	size_t i;

	if (!notify_active())
		return;
	for (i = 0; i < INPUTS_MAX; i++)
		channel->stored_input[i] = identity(from->input[i].fd);
	channel->stored_feed = identity(from->feed);
	channel->stored_xdp[0] = identity(from->xdp_socket);
	channel->stored_xdp[1] = identity(from->xdp_memory);
	channel->stored_segment = identity(from->segment);
}

void
fdstore_remove(struct channel *channel)
{
	size_t i;

	for (i = 0; i < INPUTS_MAX; i++)
		if (channel->stored_input[i] != 0)
			keep_input(channel, i, -1);
	keep(FEED, channel->name, -1, &channel->stored_feed);
	keep(XDP_SOCKET, channel->name, -1, &channel->stored_xdp[0]);
	keep(XDP_MEMORY, channel->name, -1, &channel->stored_xdp[1]);
	keep(SEGMENT, channel->name, -1, &channel->stored_segment);
}

void
fdstore_remove_unused(const struct inheritance *inheritance)
{
	const struct inherited *each;
	char prefix[PREFIX_SIZE];
	size_t i, j;

	for (i = 0; i < inheritance->channels; i++) {
		each = &inheritance->channel[i];
		if (each->taken)
			continue;
		log_info("channel %s: what the service manager has kept of it "
		    "is not needed any more", each->name);
		for (j = 0; j < INPUTS_MAX; j++)
			if (j == 0 || each->input[j].fd != -1) {
				input_prefix(j, prefix);
				remove_name(prefix, each->name);
			}
		if (each->feed != -1)
			remove_name(FEED, each->name);
		if (each->xdp_socket != -1)
			remove_name(XDP_SOCKET, each->name);
		if (each->xdp_memory != -1)
			remove_name(XDP_MEMORY, each->name);
		remove_name(SEGMENT, each->name);
		unsettled = true;
	}
}

void
fdstore_settle(void)
{
	if (unsettled)
		notify_barrier();
	unsettled = false;
}
