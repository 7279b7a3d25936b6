/* SPDX-License-Identifier: ISC */
/*
 * What a child says on its standard error.  Supervisor only; never waits.
 * The child may be hostile: neither its lines nor their number are believed.
 */
#include <sys/ioctl.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/voice.h"

/* In one turn of the loop, and at the end. */
#define READ_SIZE	4096U

#define PAUSE_S		1.

/* How many lines it may say by now. */
static void
allow(struct voice *voice)
{
	uint64_t now = clock_monotonic_ns(), more;

	more = (now - voice->counted_ns) / (NS_PER_S / VOICE_LINES_S);
	if (more == 0)
		return;
	voice->lines = (unsigned)MIN_OF(voice->lines + more,
	    (uint64_t)VOICE_LINES);
	voice->counted_ns = now;
}

static void
say_left_out(struct voice *voice)
{
	if (voice->left_out > 0)
		log_warnx("%s says too much: %" PRIu64 " lines of it were not "
		    "logged", voice->name, voice->left_out);
	voice->left_out = 0;
}

/* Its own log lines begin with its name already. */
static void
put_line(struct voice *voice)
{
	size_t name = strlen(voice->name), length = voice->length;
	const char *text = voice->line;

	voice->length = 0;
	if (voice->lines == 0) {
		voice->left_out++;
		return;
	}
	voice->lines--;
	if (length >= name + 2 && memcmp(text, voice->name, name) == 0 &&
	    memcmp(text + name, ": ", 2) == 0) {
		text += name + 2;
		length -= name + 2;
	}
	log_said(voice->name, text, length);
}

static void
take(struct voice *voice, const char *text, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (text[i] == '\n') {
			put_line(voice);
			continue;
		}
		if (voice->length == sizeof(voice->line))
			put_line(voice);
		voice->line[voice->length++] = text[i];
	}
}

/* Up to `most' bytes; what read() returned. */
static ssize_t
hear(struct voice *voice, size_t most)
{
	char text[READ_SIZE];
	ssize_t got = read(voice->fd, text, MIN_OF(most, sizeof(text)));

	if (got > 0)
		take(voice, text, (size_t)got);
	return got;
}

static void
on_said(struct ev_loop *loop, ev_io *watcher, int events ATTR_UNUSED)
{
	struct voice *voice = watcher->data;
	ssize_t got;

	allow(voice);
	got = hear(voice, READ_SIZE);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	/* It has closed its standard error. */
	if (got <= 0)
		ev_io_stop(loop, watcher);
	else if (voice->lines == 0) {
		ev_io_stop(loop, watcher);
		ev_timer_again(loop, &voice->pause);
	}
}

static void
on_pause(struct ev_loop *loop, ev_timer *watcher, int events ATTR_UNUSED)
{
	struct voice *voice = watcher->data;

	ev_timer_stop(loop, watcher);
	say_left_out(voice);
	ev_io_start(loop, &voice->io);
}

void
voice_init(struct voice *voice, struct ev_loop *loop, const char *name)
{
	memset(voice, 0, sizeof(*voice));
	voice->loop = loop;
	voice->fd = -1;
	voice->lines = VOICE_LINES;
	voice->counted_ns = clock_monotonic_ns();
	snprintf(voice->name, sizeof(voice->name), "%s", name);
	ev_init(&voice->io, on_said);
	ev_timer_init(&voice->pause, on_pause, 0., PAUSE_S);
	voice->io.data = voice->pause.data = voice;
}

void
voice_adopt(struct voice *voice, int fd)
{
	assert(voice->fd == -1);
	voice->fd = fd;
	ev_io_set(&voice->io, fd, EV_READ);
	ev_io_start(voice->loop, &voice->io);
}

int
voice_open(struct voice *voice)
{
	int fds[2];

	/* Both ends: the child must not wait for us, either. */
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
	voice_adopt(voice, fds[0]);
	return fds[1];
}

void
voice_flush(struct voice *voice)
{
	if (voice->length > 0)
		put_line(voice);
	say_left_out(voice);
}

/* Leaves out so many lines at the beginning that the others may be logged:
 * the last that a process says is worth more than what came before. */
static void
take_last(struct voice *voice, const char *text, size_t size)
{
	size_t ends = 0, i, from = 0;

	for (i = 0; i < size; i++)
		ends += text[i] == '\n' || i == size - 1;
	for (; ends > voice->lines; ends--, voice->left_out++) {
		voice->length = 0;
		while (text[from++] != '\n')
			continue;
	}
	take(voice, text + from, size - from);
}

static void
hear_rest(struct voice *voice)
{
	char text[READ_SIZE];
	ssize_t got = 1;
	int pending = 0;
	size_t rest;

	allow(voice);
	(void)ioctl(voice->fd, FIONREAD, &pending);
	rest = pending > (int)READ_SIZE ? (size_t)pending - READ_SIZE : 0;
	/* Some are for the very last. */
	voice->lines -= MIN_OF(voice->lines, VOICE_LAST_LINES);
	while (rest > 0 && (got = hear(voice, rest)) > 0)
		rest -= (size_t)got;
	voice->lines += VOICE_LAST_LINES;
	got = read(voice->fd, text, sizeof(text));
	if (got > 0)
		take_last(voice, text, (size_t)got);
}

void
voice_end(struct voice *voice)
{
	if (voice->fd == -1)
		return;
	ev_io_stop(voice->loop, &voice->io);
	ev_timer_stop(voice->loop, &voice->pause);
	hear_rest(voice);
	voice_flush(voice);
	close(voice->fd);
	voice->fd = -1;
}
