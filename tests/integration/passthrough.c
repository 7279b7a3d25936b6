/* SPDX-License-Identifier: ISC */
/*
 * A FUSE file system that shows a directory, for tests of archives on file
 * systems that lack something: PASSTHROUGH_LACKS names what, separated by
 * commas: link, rename (its flags), fallocate, direct (O_DIRECT), mmap.  While
 * the file that PASSTHROUGH_ERROR names has a number that is not 0, everything
 * fails with that errno; or is not answered if it is -1, so that whoever asks
 * cannot even be killed.  PASSTHROUGH_MIB_MS: milliseconds that it takes to
 * write a MiB, or to read one.
 * Usage: passthrough DIRECTORY FUSE-OPTIONS MOUNT-POINT
 */
#define FUSE_USE_VERSION 31
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char	*error_file;
static int		 base;
static int		 no_rename, no_direct, no_mmap;
static double		 byte_us;

static int
read_error(void)
{
	FILE *file = error_file == NULL ? NULL : fopen(error_file, "r");
	int error = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%d", &error) != 1)
		error = EIO;
	fclose(file);
	return error;
}

/* 0, or what everything fails with now. */
static int
trouble(void)
{
	int error;

	while ((error = read_error()) == -1)
		usleep(1000);
	return -error;
}

static void
take_time(size_t size)
{
	if (byte_us > 0)
		usleep((useconds_t)(byte_us * (double)size));
}

static const char *
below(const char *path)
{
	return path[1] == '\0' ? "." : path + 1;
}

/* Of an operation by path. */
#define RESULT(call)	(trouble() != 0 ? trouble() :			\
	    (call) == -1 ? -errno : 0)

static void *
start(struct fuse_conn_info *connection, struct fuse_config *config)
{
	(void)connection;
	config->use_ino = 1;
	/* All is seen at once. */
	config->entry_timeout = config->attr_timeout = 0;
	config->negative_timeout = 0;
	return NULL;
}

static int
do_getattr(const char *path, struct stat *st, struct fuse_file_info *info)
{
	return RESULT(info != NULL ? fstat((int)info->fh, st) :
	    fstatat(base, below(path), st, AT_SYMLINK_NOFOLLOW));
}

static int
do_readdir(const char *path, void *buffer, fuse_fill_dir_t fill,
    off_t offset, struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
	int error = trouble(), fd;
	struct dirent *entry;
	DIR *directory;

	(void)offset, (void)info, (void)flags;
	if (error != 0)
		return error;
	fd = openat(base, below(path), O_RDONLY | O_DIRECTORY);
	directory = fd == -1 ? NULL : fdopendir(fd);
	if (directory == NULL)
		return -errno;
	while ((entry = readdir(directory)) != NULL)
		if (fill(buffer, entry->d_name, NULL, 0, 0) != 0)
			break;
	closedir(directory);
	return 0;
}

static int
do_mkdir(const char *path, mode_t mode)
{
	return RESULT(mkdirat(base, below(path), mode));
}

static int
do_unlink(const char *path)
{
	return RESULT(unlinkat(base, below(path), 0));
}

static int
do_rmdir(const char *path)
{
	return RESULT(unlinkat(base, below(path), AT_REMOVEDIR));
}

static int
do_link(const char *from, const char *to)
{
	return RESULT(linkat(base, below(from), base, below(to), 0));
}

static int
do_rename(const char *from, const char *to, unsigned flags)
{
	if (no_rename && flags != 0)
		return -EINVAL;
	return RESULT(renameat2(base, below(from), base, below(to), flags));
}

static int
do_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
	(void)info;
	return RESULT(fchmodat(base, below(path), mode, 0));
}

static int
do_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *info)
{
	(void)info;
	return RESULT(fchownat(base, below(path), uid, gid,
	    AT_SYMLINK_NOFOLLOW));
}

static int
do_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
	char name[PATH_MAX];

	if (info != NULL)
		return RESULT(ftruncate((int)info->fh, size));
	snprintf(name, sizeof(name), "/proc/self/fd/%d/%s", base,
	    below(path));
	return RESULT(truncate(name, size));
}

static int
do_utimens(const char *path, const struct timespec times[2],
    struct fuse_file_info *info)
{
	(void)info;
	return RESULT(utimensat(base, below(path), times,
	    AT_SYMLINK_NOFOLLOW));
}

static int
do_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
	int error = trouble(), fd;

	if (error != 0)
		return error;
	if (no_direct && (info->flags & O_DIRECT) != 0)
		return -EINVAL;
	fd = openat(base, below(path), info->flags & ~O_DIRECT, mode);
	if (fd == -1)
		return -errno;
	info->fh = (uint64_t)fd;
	info->direct_io = no_mmap != 0;
	return 0;
}

static int
do_open(const char *path, struct fuse_file_info *info)
{
	return do_create(path, 0, info);
}

static int
do_read(const char *path, char *data, size_t size, off_t offset,
    struct fuse_file_info *info)
{
	ssize_t got = trouble() != 0 ? trouble() :
	    pread((int)info->fh, data, size, offset);

	(void)path;
	take_time(size);
	return got == -1 ? -errno : (int)got;
}

static int
do_write(const char *path, const char *data, size_t size, off_t offset,
    struct fuse_file_info *info)
{
	ssize_t put;
	int error = trouble();

	(void)path;
	if (error != 0)
		return error;
	/* Set after it was opened. */
	if (no_direct && (info->flags & O_DIRECT) != 0)
		return -EINVAL;
	take_time(size);
	put = pwrite((int)info->fh, data, size, offset);
	return put == -1 ? -errno : (int)put;
}

static int
do_statfs(const char *path, struct statvfs *fs)
{
	(void)path;
	return RESULT(fstatvfs(base, fs));
}

static int
do_release(const char *path, struct fuse_file_info *info)
{
	(void)path;
	close((int)info->fh);
	return 0;
}

static int
do_fsync(const char *path, int data, struct fuse_file_info *info)
{
	(void)path;
	return RESULT(data ? fdatasync((int)info->fh) :
	    fsync((int)info->fh));
}

static int
do_fallocate(const char *path, int mode, off_t offset, off_t size,
    struct fuse_file_info *info)
{
	(void)path;
	return RESULT(fallocate((int)info->fh, mode, offset, size));
}

/* The kernel asks before it begins a write by io_uring. */
static int
do_poll(const char *path, struct fuse_file_info *info,
    struct fuse_pollhandle *handle, unsigned *events)
{
	(void)path;
	(void)info;
	if (handle != NULL)
		fuse_pollhandle_destroy(handle);
	*events = POLLIN | POLLOUT;
	return trouble();
}

int
main(int argc, char **argv)
{
	static struct fuse_operations operations = {
		.init = start, .getattr = do_getattr, .readdir = do_readdir,
		.mkdir = do_mkdir, .unlink = do_unlink, .rmdir = do_rmdir,
		.link = do_link, .rename = do_rename, .chmod = do_chmod,
		.chown = do_chown, .truncate = do_truncate,
		.utimens = do_utimens, .create = do_create, .open = do_open,
		.read = do_read, .write = do_write, .statfs = do_statfs,
		.release = do_release, .fsync = do_fsync,
		.fallocate = do_fallocate, .poll = do_poll,
	};
	const char *lacks = getenv("PASSTHROUGH_LACKS");
	const char *ms = getenv("PASSTHROUGH_MIB_MS");

	if (argc < 3 || (base = open(argv[1], O_PATH | O_DIRECTORY)) == -1) {
		perror("passthrough");
		return 2;
	}
	error_file = getenv("PASSTHROUGH_ERROR");
	lacks = lacks == NULL ? "" : lacks;
	byte_us = ms == NULL ? 0 : atof(ms) * 1000 / (1 << 20);
	no_rename = strstr(lacks, "rename") != NULL;
	no_direct = strstr(lacks, "direct") != NULL;
	no_mmap = strstr(lacks, "mmap") != NULL;
	if (strstr(lacks, "link") != NULL)
		operations.link = NULL;
	if (strstr(lacks, "fallocate") != NULL)
		operations.fallocate = NULL;
	umask(0);
	argv[1] = argv[0];
	return fuse_main(argc - 1, argv + 1, &operations, NULL);
}
