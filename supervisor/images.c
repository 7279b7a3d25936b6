/* SPDX-License-Identifier: ISC */
/*
 * Programs as they were.  See images.h.  Supervisor only.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/process.h"
#include "common/segment.h"
#include "common/util.h"
#include "supervisor/images.h"
#include "supervisor/supervisor.h"

static const char	*const names[IMAGE_PROGRAMS] = {
	[IMAGE_DAEMON]		= "mcrelayd",
	[IMAGE_WORKER]		= "mcrelay-worker",
	[IMAGE_DECIMATOR]	= "mcrelay-decimator",
};

static void
clear(struct image *image)
{
	size_t i;

	image->layout = 0;
	image->hangs = image->answers = image->unserved = false;
	image->server = image->server_process = -1;
	for (i = 0; i < IMAGE_PROGRAMS; i++)
		image->fd[i] = -1;
}

void
images_init(struct images *images)
{
	size_t i;

	for (i = 0; i < IMAGES_MAX; i++)
		clear(&images->image[i]);
}

void
image_end_server(struct image *image)
{
	if (image->server_process != -1) {
		(void)process_kill(image->server_process);
		process_close(image->server_process);
	}
	if (image->server != -1)
		close(image->server);
	image->server = image->server_process = -1;
}

void
image_drop(struct image *image)
{
	size_t i;

	image_end_server(image);
	for (i = 0; i < IMAGE_PROGRAMS; i++)
		if (image->fd[i] != -1)
			close(image->fd[i]);
	clear(image);
}

void
images_done(struct images *images)
{
	size_t i;

	for (i = 0; i < IMAGES_MAX; i++)
		image_drop(&images->image[i]);
}

/* O_PATH would do; but the service manager keeps no such descriptor. */
static int
open_program(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd != -1 ? fd : open(path, O_PATH | O_CLOEXEC);
}

void
images_open(struct images *images, const char *directory)
{
	struct image *image = &images->image[0];
	char path[PATH_MAX];
	size_t i;

	image->layout = segment_layout();
	image->fd[IMAGE_DAEMON] = open_program("/proc/self/exe");
	for (i = IMAGE_DAEMON + 1; i < IMAGE_PROGRAMS; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		image->fd[i] = open_program(path);
	}
}

static struct image *
find(struct images *images, uint64_t layout)
{
	size_t i;

	for (i = 0; i < IMAGES_MAX; i++)
		if (images->image[i].layout == layout)
			return &images->image[i];
	return NULL;
}

struct image *
images_find(struct images *images, uint64_t layout)
{
	return layout == 0 ? NULL : find(images, layout);
}

struct image *
images_add(struct images *images, uint64_t layout)
{
	struct image *image = images_find(images, layout);

	if (layout != 0 && image == NULL &&
	    (image = find(images, 0)) != NULL)
		image->layout = layout;
	return image;
}

void
images_take(struct images *images, struct images *from)
{
	struct image *each, *image;
	size_t i;

	for (i = 0; i < IMAGES_MAX; i++) {
		each = &from->image[i];
		if (each->layout == 0 || each->layout == segment_layout() ||
		    (image = images_add(images, each->layout)) == NULL)
			continue;
		*image = *each;
		clear(each);
	}
}

int
images_current(const struct supervisor *supervisor, enum image_program program)
{
	int fd = supervisor->images.image[0].fd[program];
	char path[PATH_MAX];
	struct stat ours, now;

	snprintf(path, sizeof(path), "%s/%s", supervisor->spawn.directory,
	    names[program]);
	if (fd == -1 || fstat(fd, &ours) == -1 || stat(path, &now) == -1 ||
	    (ours.st_dev == now.st_dev && ours.st_ino == now.st_ino))
		return -1;
	return fd;
}
