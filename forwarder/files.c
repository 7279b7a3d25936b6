/* SPDX-License-Identifier: ISC */
/*
 * The files of `credentials' and `tls'.  mcrelay-forwarder, first thread.
 *
 * libnats reads `credentials' whenever it connects, without a word when it
 * cannot, and those of `tls' at the start; and the sandbox opens the very files
 * that were there then, not others of the same name.  So one that was replaced,
 * or written to, ends the process: the next one has what is there now.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "forwarder/forwarder.h"

static struct file {
	const char	*path;		/* NULL: there is none */
	struct stat	 first;		/* st_ino 0: it was not there */
	struct stat	 last;
	bool		 told;
} files[4];

void
files_remember(void)
{
	const char *const paths[NITEMS(files)] = {spec.credentials, spec.ca,
	    spec.certificate, spec.key};
	struct stat st;
	size_t i;

	for (i = 0; i < NITEMS(files); i++) {
		files[i] = (struct file){.path = paths[i]};
		if (paths[i] != NULL && stat(paths[i], &st) == 0)
			files[i].first = files[i].last = st;
	}
}

static bool
is_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool
is_as_before(const struct stat *a, const struct stat *b)
{
	return is_file(a, b) && a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* One that is being written to may not be whole. */
static bool
has_changed(struct file *file)
{
	struct stat now;
	bool settled;

	/* One that is away for now may come back. */
	if (stat(file->path, &now) == -1)
		return false;
	settled = !is_file(&now, &file->first) ||
	    is_as_before(&now, &file->last);
	file->last = now;
	return settled && !is_as_before(&now, &file->first);
}

static void
tell_unreadable(struct file *file)
{
	const int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd != -1) {
		close(fd);
		file->told = false;
	} else if (!file->told) {
		log_warnx("user id %u cannot read %s: %s; the servers will "
		    "not let us in", (unsigned)geteuid(), file->path,
		    strerror(errno));
		file->told = true;
	}
}

void
files_look(void)
{
	struct file *file;

	for (file = files; file < files + NITEMS(files); file++) {
		if (file->path == NULL)
			continue;
		if (has_changed(file)) {
			log_info("%s is another file, or was written to: "
			    "beginning anew", file->path);
			_exit(0);
		}
		tell_unreadable(file);
	}
}
