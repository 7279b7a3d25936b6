/* SPDX-License-Identifier: ISC */
/*
 * A finished file gets its name and replaces none, whatever the file system
 * can do: those that cannot rename so or have no links are played by taking
 * the calls away.
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/rename.h"
#include "common/util.h"

struct world {
	const char	*name;
	int		 rename_error;	/* 0: the call works */
	int		 link_error;
};

static const struct world worlds[] = {
	{ "all there is", 0, 0 },
	{ "NFS", EINVAL, 0 },
	{ "an old kernel", ENOSYS, 0 },
	{ "FUSE without links", EINVAL, ENOSYS },
	{ "FAT on an old kernel", EINVAL, EPERM },
	{ "links not supported", EINVAL, EOPNOTSUPP },
};
static const struct world *world;
static unsigned links;

/* How often another link is tried: where the system has its own call, only if
 * the file system says that it has it not. */
static unsigned
links_wanted(void)
{
#ifdef HAVE_LINUX
	return world->rename_error != 0 && world->rename_error != ENOSPC;
#else
	return 1;
#endif
}

/* In place of the C library's. */
int
renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	if (flags != 0 && world->rename_error != 0) {
		errno = world->rename_error;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from, old, to, new, flags);
}

int
linkat(int from, const char *old, int to, const char *new, int flags)
{
	links++;
	if (world->link_error != 0) {
		errno = world->link_error;
		return -1;
	}
	return (int)syscall(SYS_linkat, from, old, to, new, flags);
}

static int
open_directory(void **state)
{
	static char path[] = "/tmp/test_rename.XXXXXX";
	int *fd = xmalloc(sizeof(*fd));

	if (mkdtemp(path) == NULL)
		return -1;
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = fd;
	world = &worlds[0];
	return *fd == -1 ? -1 : 0;
}

static int
close_directory(void **state)
{
	char link[64], path[256];
	int *fd = *state;
	ssize_t size;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", *fd);
	size = readlink(link, path, sizeof(path) - 1);
	close(*fd);
	free(fd);
	if (size < 0)
		return -1;
	path[size] = '\0';
	return rmdir(path);
}

static void
make(int directory, const char *name, const char *text)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, 1), 1);
	close(fd);
}

static void
assert_holds(int directory, const char *name, const char *text)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	char found;

	assert_int_not_equal(fd, -1);
	assert_int_equal(read(fd, &found, 1), 1);
	assert_int_equal(found, *text);
	close(fd);
}

static bool
is_there(int directory, const char *name)
{
	return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
test_names(void **state)
{
	int dir = *(int *)*state;

	for (unsigned i = 0; i < NITEMS(worlds); i++) {
		world = &worlds[i];
		links = 0;
		make(dir, "x.part", "1");
		if (rename_new(dir, "x.part", dir, "x") == -1)
			fail_msg("%s: %s", world->name, strerror(errno));
		assert_holds(dir, "x", "1");
		assert_false(is_there(dir, "x.part"));
		/* The way that was meant. */
		assert_int_equal(links, links_wanted());
		assert_int_equal(unlinkat(dir, "x", 0), 0);
	}
}

static void
test_replaces_none(void **state)
{
	int dir = *(int *)*state;

	for (unsigned i = 0; i < NITEMS(worlds); i++) {
		world = &worlds[i];
		make(dir, "x.part", "1");
		make(dir, "x", "2");
		assert_int_equal(rename_new(dir, "x.part", dir, "x"), -1);
		if (errno != EEXIST)
			fail_msg("%s: %s", world->name, strerror(errno));
		assert_holds(dir, "x", "2");
		assert_holds(dir, "x.part", "1");
		assert_int_equal(unlinkat(dir, "x", 0), 0);
		assert_int_equal(unlinkat(dir, "x.part", 0), 0);
	}
}

/* Killed after the link: the kernel looks for the name before it asks the file
 * system, so that both answers occur. */
static void
test_goes_on(void **state)
{
	int dir = *(int *)*state;

	for (unsigned i = 0; i < 2; i++) {
		world = &worlds[i];
		make(dir, "x.part", "1");
		assert_int_equal(syscall(SYS_linkat, dir, "x.part", dir, "x",
		    0), 0);
		assert_int_equal(rename_new(dir, "x.part", dir, "x"), 0);
		assert_holds(dir, "x", "1");
		assert_false(is_there(dir, "x.part"));
		assert_int_equal(unlinkat(dir, "x", 0), 0);
	}
}

/* Nothing is tried that does not help. */
static void
test_other_errors(void **state)
{
	static const struct world full = { "full", ENOSPC, ENOSPC };
	int dir = *(int *)*state;

	world = &full;
	links = 0;
	make(dir, "x.part", "1");
	assert_int_equal(rename_new(dir, "x.part", dir, "x"), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(links, links_wanted());
	assert_int_equal(unlinkat(dir, "x.part", 0), 0);
	world = &worlds[1];
	assert_int_equal(rename_new(dir, "x.part", dir, "x"), -1);
	assert_int_equal(errno, ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_replaces_none),
		cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_other_errors),
	};

	return cmocka_run_group_tests(tests, open_directory, close_directory);
}
