/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing what the supervisor hears of its children: messages of a worker and
 * of a decimator, with what they mean a worker's memory to say, and lines on a
 * standard error.  The input is a list of such events, see struct event_input.
 *
 * A child is listened to until it says what it should not have said, and never
 * again; an answer that nobody asked for is such.  A channel's holder is one of
 * its decimators or none.  Of what is said on standard error each line is
 * logged with the child's name before it, as text, and no more than may be.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <assert.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/message.h"
#include "common/util.h"
#include "supervisor/supervisor.h"
#include "tests/fuzz/scratch.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SAID_MAX	(1U << 20)

enum input_kind {
	WORKER_MESSAGE,
	WORKER_PACKET,		/* of any size */
	WORKER_MEMORY,
	DECIMATOR_MESSAGE,
	DECIMATOR_PACKET,
	SAID,
	EVENTS,
};

struct event_input {
	uint8_t		 kind;		/* modulo EVENTS */
	uint8_t		 size;		/* of the data that follow */
};

static struct supervisor	supervisor;
static struct conf		whole;
static struct channel_conf	conf = {.name = "test",
				    .archive = {.enabled = 1,
				    .min_free = UINT64_MAX}};
static pid_t			process[2];
static int			said = -1;	/* instead of standard error */

static pid_t
idle_process(void)
{
	const pid_t pid = fork();

	assert(pid != -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void
kill_processes(void)
{
	for (size_t i = 0; i < NITEMS(process); i++) {
		kill(process[i], SIGKILL);
		waitpid(process[i], NULL, 0);
	}
}

static void
on_turn(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
}

static void
begin(void)
{
	(void)scratch();
	supervisor.loop = ev_default_loop(0);
	supervisor.conf = &whole;
	supervisor.phase = PHASE_RUNNING;
	supervisor.rundir.fd = scratch();
	ev_timer_init(&supervisor.turn, on_turn, 0., 0.);
	for (size_t i = 0; i < NITEMS(process); i++)
		process[i] = idle_process();
	atexit(kill_processes);
	said = memfd_create("said", MFD_CLOEXEC);
	assert(said != -1);
}

static void
image_init(struct child_image *image, pid_t pid, int messages, int voice)
{
	*image = (struct child_image){.pid = pid, .messages = messages,
	    .voice = voice, .wanted = true, .spawned_ns = 1, .spawns = 1};
}

/* Like a child of an image before this one. */
static struct channel *
add_channel(int messages, int voice)
{
	static struct inherited from;
	struct segment_spec spec = {.ring_size = RING_SIZE_MIN,
	    .config = {.archive.enabled = 1}};
	struct segment segment;
	struct channel *channel;
	bool locked;

	memset(&from, 0, sizeof(from));
	assert(segment_create(&segment, &spec, &locked) == 0);
	memcpy(from.name, conf.name, sizeof(from.name));
	for (size_t i = 0; i < INPUTS_MAX; i++)
		from.input[i].fd = -1;
	from.feed = from.archive = -1;
	from.decimator_event = open("/dev/null", O_RDONLY | O_CLOEXEC);
	from.number = 7;
	from.decimator = -1;
	from.holder = 0;
	from.leaving = from.told = true;
	from.segment = fcntl(segment.fd, F_DUPFD_CLOEXEC, 3);
	segment_close(&segment);
	image_init(&from.worker, process[0], messages, voice);
	channel = channel_new_leaving(&supervisor, &from);
	channel->conf = &conf;
	assert(channel->segment.base != NULL);
	TAILQ_INSERT_TAIL(&supervisor.channels, channel, link);
	return channel;
}

static void
put_message(int fd, const uint8_t *data, size_t size)
{
	struct message message = {0};

	memcpy(&message, data, MIN_OF(size, sizeof(message)));
	(void)send(fd, &message, sizeof(message), MSG_DONTWAIT);
}

/* What comes after a child's rest is over, too. */
static void
turns(struct child *child)
{
	ev_run(supervisor.loop, EVRUN_NOWAIT);
	if (child->state == CHILD_RUNNING)
		ev_invoke(supervisor.loop, &child->timer, EV_TIMER);
	ev_run(supervisor.loop, EVRUN_NOWAIT);
}

static void
check_child(const struct child *child)
{
	assert(child->state == CHILD_STARTING ||
	    child->state == CHILD_RUNNING);
	assert((child->state == CHILD_RUNNING) == (child->ready_ns != 0));
}

static void
check_said(const struct voice *voice)
{
	static char text[SAID_MAX];
	const ssize_t size = pread(said, text, sizeof(text), 0);
	const char *line = text, *end;
	unsigned lines = 0;

	assert(size >= 0);
	for (; line < text + size; line = end + 1, lines++) {
		end = memchr(line, '\n', (size_t)(text + size - line));
		assert(end != NULL);
		assert(strncmp(line, voice->name, strlen(voice->name)) == 0);
		for (const char *c = line; c < end; c++)
			assert((uint8_t)*c >= ' ' && *c != 0x7f);
	}
	assert(lines <= VOICE_LINES + VOICE_LAST_LINES);
}

/* Standard error is another file while lines are logged. */
static void
say(struct child *child, int fd, const uint8_t *data, size_t size)
{
	const int before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	(void)!ftruncate(said, 0);
	lseek(said, 0, SEEK_SET);
	dup2(said, STDERR_FILENO);
	(void)!write(fd, data, size);
	(void)!write(fd, "\n", 1);
	ev_run(supervisor.loop, EVRUN_NOWAIT);
	dup2(before, STDERR_FILENO);
	close(before);
	check_said(&child->voice);
}

/* The other ends of what the supervisor has. */
struct ends {
	int	worker;
	int	decimator;
	int	voice;
};

static void
happen(const struct event_input *event, const uint8_t *data,
    struct channel *channel, const struct ends *ends)
{
	struct worker_state *state = channel->segment.state;
	struct decimator *decimator = &supervisor.decimator[0];

	switch (event->kind % EVENTS) {
	case WORKER_MESSAGE:
		put_message(ends->worker, data, event->size);
		break;
	case WORKER_PACKET:
		(void)send(ends->worker, data, event->size, MSG_DONTWAIT);
		break;
	case WORKER_MEMORY:
		memcpy(&state->room, data, MIN_OF((size_t)event->size,
		    sizeof(state->room)));
		atomic_store(&state->directory_gone, event->size);
		return;
	case DECIMATOR_MESSAGE:
		put_message(ends->decimator, data, event->size);
		break;
	case DECIMATOR_PACKET:
		(void)send(ends->decimator, data, event->size, MSG_DONTWAIT);
		break;
	case SAID:
		say(&channel->child, ends->voice, data, event->size);
		return;
	}
	turns(&channel->child);
	turns(&decimator->child);
	assert(decimator->answers <= 2);
	assert(channel->decimator_holder == NULL ||
	    channel->decimator_holder == decimator);
	/* Whoever has let go has said so. */
	assert(channel->decimator_holder != NULL || decimator->answers < 2);
}

static void
forget(struct child *child)
{
	child->pid = 0;
	child->wanted = false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decimator *decimator = &supervisor.decimator[0];
	struct child_image image;
	struct channel *channel;
	int worker[2], other[2], voice[2];
	struct ends ends;
	struct event_input event;

	if (supervisor.loop == NULL)
		begin();
	supervisor.web.live.out = -1;
	supervisor.forwarder[0].live.out = -1;
	TAILQ_INIT(&supervisor.channels);
	TAILQ_INIT(&supervisor.leaving);
	assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, worker) == 0);
	assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, other) == 0);
	assert(pipe2(voice, O_CLOEXEC | O_NONBLOCK) == 0);
	ends = (struct ends){worker[1], other[1], voice[1]};
	decimator_init(decimator, &supervisor, 0);
	image_init(&image, process[1], other[0], -1);
	image.ready_ns = 1;
	decimator_adopt(decimator, &image, 2, NULL);
	channel = add_channel(worker[0], voice[0]);
	for (; size >= sizeof(event); data += event.size, size -= event.size) {
		memcpy(&event, data, sizeof(event));
		data += sizeof(event);
		size -= sizeof(event);
		event.size = (uint8_t)MIN_OF(size, (size_t)event.size);
		happen(&event, data, channel, &ends);
		check_child(&channel->child);
		check_child(&decimator->child);
	}
	forget(&channel->child);
	forget(&decimator->child);
	TAILQ_REMOVE(&supervisor.channels, channel, link);
	channel_free(channel);
	decimator_done(decimator);
	close(ends.worker);
	close(ends.decimator);
	close(ends.voice);
	return 0;
}
