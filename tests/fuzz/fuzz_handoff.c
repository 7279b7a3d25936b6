/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing what an image of the daemon before this one has handed over.  The
 * input is the JSON; the descriptors from FD_FIRST on are open.
 *
 * There is an inheritance or a reason.  Numbers in it are within the bounds of
 * what they count or index, names end, a process is one, descriptors are
 * closed on execve.
 */
#include <sys/mman.h>
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/handoff.h"

#define FD_FIRST	100
#define FDS		16

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_fd(int fd)
{
	if (fd == -1)
		return;
	assert(fd > STDERR_FILENO);
	assert((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void
check_child(const struct child_image *image)
{
	check_fd(image->messages);
	check_fd(image->voice);
	/* A number that kill() and waitpid() take for one process. */
	assert(image->pid >= 0);
	assert(image->pid == 0 || image->messages != -1);
	assert(memchr(image->last_exit, '\0', sizeof(image->last_exit)) !=
	    NULL);
}

static void
check_channel(struct inheritance *inheritance, struct inherited *each)
{
	assert(memchr(each->name, '\0', sizeof(each->name)) != NULL);
	/* One that is too long is cut off, and may be there twice. */
	assert(strlen(each->name) == CHANNEL_NAME_MAX ||
	    inheritance_find(inheritance, each->name) == each);
	for (size_t i = 0; i < INPUTS_MAX; i++)
		check_fd(each->input[i].fd);
	check_fd(each->feed);
	check_fd(each->segment);
	check_fd(each->archive);
	assert(each->sockets <= NITEMS(each->socket));
	for (size_t i = 0; i < each->sockets; i++) {
		check_fd(each->socket[i].fd);
		assert(memchr(each->socket[i].purpose, '\0',
		    sizeof(each->socket[i].purpose)) != NULL);
	}
	assert(memchr(each->archive_path, '\0', sizeof(each->archive_path)) !=
	    NULL);
	assert(memchr(each->archive_away, '\0', sizeof(each->archive_away)) !=
	    NULL);
	check_fd(each->decimator_event);
	assert(each->decimator >= -1 &&
	    each->decimator < (int)DECIMATORS_MAX);
	assert(each->holder >= -1 && each->holder < (int)DECIMATORS_MAX);
	for (unsigned i = 0; i < REASONS; i++)
		assert(each->reasons.of[i].hold <= REASON_HOLD_S);
	check_child(&each->worker);
}

static void
check(struct inheritance *inheritance)
{
	size_t i;

	assert(inheritance->upgrade);
	assert(inheritance->version != NULL && inheritance->run_dir != NULL);
	check_fd(inheritance->lock);
	check_fd(inheritance->control);
	check_fd(inheritance->client);
	for (i = 0; i < inheritance->channels; i++)
		check_channel(inheritance, &inheritance->channel[i]);
	for (i = 0; i < NITEMS(inheritance->decimator); i++)
		check_child(&inheritance->decimator[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inheritance *inheritance;
	const char *why = NULL;
	int fd, i;

	/* It may name any other, which it gets to close. */
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert(fd != -1);
	for (i = 0; i < FDS; i++)
		assert(dup2(fd, FD_FIRST + i) != -1);
	close(fd);
	fd = memfd_create("handoff", MFD_CLOEXEC);
	assert(fd != -1 && write(fd, data, size) == (ssize_t)size);
	inheritance = handoff_read(fd, &why);
	assert((inheritance == NULL) == (why != NULL));
	if (inheritance != NULL)
		check(inheritance);
	inheritance_free(inheritance);
	for (i = 0; i < FDS; i++)
		(void)close(FD_FIRST + i);
	return 0;
}
