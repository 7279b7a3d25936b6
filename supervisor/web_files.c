/* SPDX-License-Identifier: ISC */
/*
 * The files for mcrelay-web.  Supervisor only.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/memory.h"
#include "common/util.h"
#include "supervisor/far_file.h"
#include "supervisor/report.h"
#include "supervisor/web_files.h"

/* A memory file, mapped. */
struct view {
	char	*text;
	size_t	 size;
};

/* Who may read the key can be taken for us. */
static void
check_mode(const char *path, enum web_text which, const struct stat *st,
    struct conf_problems *problems)
{
	mode_t mode = st->st_mode & 07777;

	/* A group may read it: such as ssl-cert. */
	if (which == WEB_KEY && (mode & 037) != 0)
		report_warning(problems, "%s: others may %s the key (mode "
		    "%04o): chmod 0600 or 0640", path, (mode & 022) != 0 ?
		    "change" : "read", (unsigned)mode);
	else if (which != WEB_KEY && (mode & 022) != 0)
		report_warning(problems, "%s: others may change it (mode "
		    "%04o): chmod go-w", path, (unsigned)mode);
}

/* Its descriptor, or -1, which is reported. */
static int
open_file(const char *path, enum web_text which,
    struct conf_problems *problems)
{
	struct stat st;
	int fd = far_file_open(path, &st);

	if (fd == -1)
		report_error(problems, "%s: cannot be read: %s", path,
		    far_file_error(errno));
	else if (!S_ISREG(st.st_mode))
		report_error(problems, "%s: is no file", path);
	else {
		check_mode(path, which, &st, problems);
		return fd;
	}
	if (fd != -1)
		close(fd);
	return -1;
}

/* Appends a text and its NUL; the size with that, 0 with errno. */
static size_t
copy(int from, int to)
{
	char buffer[4096];
	size_t size = 0;
	ssize_t got;

	while ((got = read(from, buffer, sizeof(buffer))) > 0) {
		if (memchr(buffer, '\0', (size_t)got) != NULL)
			errno = EILSEQ;
		else if (size + (size_t)got > WEB_FILE_MAX)
			errno = EFBIG;
		else if (write(to, buffer, (size_t)got) == got) {
			size += (size_t)got;
			continue;
		}
		got = -1;
		break;
	}
	explicit_bzero(buffer, sizeof(buffer));
	return got == 0 && write(to, "", 1) == 1 ? size + 1 : 0;
}

static uint32_t
append_file(int to, const char *path, enum web_text which,
    struct conf_problems *problems)
{
	int fd = open_file(path, which, problems);
	size_t size;

	if (fd == -1)
		return 0;
	size = copy(fd, to);
	if (size == 0)
		report_error(problems, "%s: %s", path, errno == EILSEQ ?
		    "is no text" : strerror(errno));
	close(fd);
	return (uint32_t)size;
}

/* False: there is no memory. */
static bool
look(int fd, struct view *view)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return false;
	view->size = (size_t)st.st_size;
	view->text = mmap(NULL, view->size, PROT_READ, MAP_SHARED, fd, 0);
	if (view->text == MAP_FAILED)
		return false;
	(void)madvise(view->text, view->size, MADV_DONTDUMP);
	return true;
}

/* Copies the files behind the header, and checks them there. */
static bool
fill(struct web_files *files, const struct web_conf *conf,
    struct conf_problems *problems)
{
	struct web_config config;
	size_t errors = problems->errors, i;
	struct view view;

	memset(&config, 0, sizeof(config));
	memcpy(config.allow, conf->allow, sizeof(config.allow));
	config.allows = conf->allows;
	if (lseek(files->fd, sizeof(config), SEEK_SET) == -1)
		return false;
	for (i = 0; i < WEB_TEXTS; i++)
		if (conf->file[i][0] != '\0')
			config.size[i] = append_file(files->fd, conf->file[i],
			    (enum web_text)i, problems);
	if (problems->errors > errors)
		return true;
	if (pwrite(files->fd, &config, sizeof(config), 0) !=
	    (ssize_t)sizeof(config) || memory_seal(files->fd,
	    MEMORY_NO_SHRINK | MEMORY_NO_GROW | MEMORY_NO_WRITE) == -1 ||
	    !look(files->fd, &view))
		return false;
	files->expires_s = web_check(conf, &config, view.text +
	    sizeof(config), problems);
	(void)munmap(view.text, view.size);
	return true;
}

bool
web_files_open(struct web_files *files, const struct web_conf *conf,
    struct conf_problems *problems)
{
	size_t errors = problems->errors;

	files->expires_s = 0;
	files->fd = memory_open("mcrelay-web");
	if (files->fd == -1 || !fill(files, conf, problems))
		report_error(problems, "no memory for what mcrelay-web is to "
		    "know: %s", strerror(errno));
	if (problems->errors == errors)
		return true;
	web_files_close(files);
	return false;
}

void
web_files_close(struct web_files *files)
{
	if (files->fd != -1)
		close(files->fd);
	files->fd = -1;
	files->expires_s = 0;
}

bool
web_files_same(const struct web_files *a, const struct web_files *b)
{
	struct view one, other;
	bool same = false;

	if (!look(a->fd, &one))
		return false;
	if (look(b->fd, &other)) {
		same = one.size == other.size &&
		    memcmp(one.text, other.text, one.size) == 0;
		(void)munmap(other.text, other.size);
	}
	(void)munmap(one.text, one.size);
	return same;
}
