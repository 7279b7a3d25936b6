/* SPDX-License-Identifier: ISC */
/*
 * Files that are none.  Whoever waits for one of them is ended by a signal.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"
#include "tools/common/reader.h"
#include "tools/common/regular.h"

#define PATIENCE_S	30

static char	directory[] = "/tmp/mcrelay-regular.XXXXXX";

static void
make_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(strlen(path) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address,
	    sizeof(address)), 0);
	close(fd);
}

static int
set_up(void **state ATTR_UNUSED)
{
	int fd;

	alarm(PATIENCE_S);
	if (mkdtemp(directory) == NULL || chdir(directory) == -1)
		return -1;
	fd = open("file", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "text\n", 5), 5);
	close(fd);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(mkdir("directory", 0700), 0);
	assert_int_equal(symlink("file", "link"), 0);
	assert_int_equal(symlink("fifo", "link_to_fifo"), 0);
	assert_int_equal(symlink("nothing", "dangling"), 0);
	assert_int_equal(symlink("/dev/zero", "device"), 0);
	make_socket("socket");
	return 0;
}

static int
tear_down(void **state ATTR_UNUSED)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

struct row {
	const char	*name;
	int		 flags;
	const char	*why;		/* NULL: it is one */
};

static const struct row rows[] = {
	{ "file", 0, NULL },
	{ "file", O_NOFOLLOW, NULL },
	{ "link", 0, NULL },
	{ "link", O_NOFOLLOW, "a symbolic link" },
	{ "fifo", 0, "a FIFO" },
	{ "fifo", O_NOFOLLOW, "a FIFO" },
	{ "link_to_fifo", 0, "a FIFO" },
	{ "directory", 0, "a directory" },
	{ "socket", 0, "a socket" },
	{ "device", 0, "a device" },
	{ "dangling", 0, "No such file" },
	{ "nothing", O_NOFOLLOW, "No such file" },
};

static void
test_kinds(void **state ATTR_UNUSED)
{
	const char *why;
	char line[16];
	FILE *file;

	for (size_t i = 0; i < NITEMS(rows); i++) {
		file = regular_fopen(AT_FDCWD, rows[i].name, rows[i].flags,
		    &why);
		if (rows[i].why != NULL) {
			assert_null(file);
			if (strstr(why, rows[i].why) != why)
				fail_msg("%s: %s", rows[i].name, why);
			continue;
		}
		assert_non_null(file);
		assert_true((fcntl(fileno(file), F_GETFD) & FD_CLOEXEC) != 0);
		assert_string_equal(fgets(line, sizeof(line), file), "text\n");
		fclose(file);
	}
	assert_int_equal(regular_open(AT_FDCWD, "fifo", 0, &why), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(regular_open(AT_FDCWD, "nothing", 0, &why), -1);
	assert_int_equal(errno, ENOENT);
}

/* What mcrelay-verify and mcrelay-replay say of them. */
static void
test_reader(void **state ATTR_UNUSED)
{
	struct reader reader;
	const char *why;

	for (size_t i = 0; i < NITEMS(rows); i++) {
		if (rows[i].flags != 0)
			continue;
		assert_int_equal(reader_open(&reader, rows[i].name, &why),
		    READER_UNUSABLE);
		if (strstr(why, rows[i].why != NULL ? rows[i].why :
		    "not an Avro file's header") != why)
			fail_msg("%s: %s", rows[i].name, why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_reader),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
