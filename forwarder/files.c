/* SPDX-License-Identifier: ISC */
/*
 * The files of `credentials' and `tls'.  mcrelay-forwarder, first thread.
 *
 * libnats reads them whenever it connects, without a word when it cannot; and
 * the sandbox opens the very files that were there at the start, not others of
 * the same name.  So one that was replaced ends the process: the next one has
 * the new file.
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
	dev_t		 device;
	ino_t		 inode;		/* 0: it was not there */
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
		if (paths[i] == NULL || stat(paths[i], &st) == -1)
			continue;
		files[i].device = st.st_dev;
		files[i].inode = st.st_ino;
	}
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
	struct stat st;

	for (file = files; file < files + NITEMS(files); file++) {
		if (file->path == NULL)
			continue;
		/* One that is away for now may come back. */
		if (stat(file->path, &st) == 0 && (st.st_dev !=
		    file->device || st.st_ino != file->inode)) {
			log_info("%s is another file: beginning anew",
			    file->path);
			_exit(0);
		}
		tell_unreadable(file);
	}
}
