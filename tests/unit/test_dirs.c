/* SPDX-License-Identifier: ISC */
/*
 * What a worker may plant in a directory of its own: the supervisor neither
 * waits for it nor follows it.
 */
#include <sys/stat.h>
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
#include "supervisor/dirs.h"
#include "supervisor/schema_files.h"

#define FRESH	"one.sum.avsc.new"
#define TEXT	"\"long\""
/* Whoever blocks is ended by SIGALRM. */
#define LIMIT_S	10
/* Anybody but root and ourselves. */
#define OTHER	65534

static int
set_up(void **state)
{
	static char name[sizeof("/tmp/test_dirs.XXXXXX")];

	snprintf(name, sizeof(name), "/tmp/test_dirs.XXXXXX");
	*state = mkdtemp(name);
	alarm(LIMIT_S);
	return *state == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	char *command = xasprintf("rm -rf %s", (char *)*state);
	int status = system(command);

	alarm(0);
	free(command);
	return status;
}

static void
write_schema(const char *path)
{
	static char text[] = TEXT;
	struct channel_conf channel;
	struct stream_conf stream;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	memset(&channel, 0, sizeof(channel));
	memset(&stream, 0, sizeof(stream));
	snprintf(channel.name, sizeof(channel.name), "one");
	snprintf(stream.name, sizeof(stream.name), "sum");
	channel.decimate = &stream;
	stream.schema_text = text;
	channel.decimates = 1;
	schema_files_write(fd, &channel);
	close(fd);
}

static void
expect_schema(const char *path)
{
	char *file = xasprintf("%s/one.sum.avsc", path);
	char got[64] = "";
	FILE *f = fopen(file, "re");
	struct stat st;

	assert_non_null(f);
	assert_int_equal(lstat(file, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_non_null(fgets(got, sizeof(got), f));
	assert_string_equal(got, TEXT "\n");
	fclose(f);
	free(file);
}

static void
fifo_does_not_block(void **state)
{
	char *fifo = xasprintf("%s/" FRESH, (char *)*state);

	assert_int_equal(mkfifo(fifo, 0600), 0);
	write_schema(*state);
	expect_schema(*state);
	free(fifo);
}

static void
hard_link_is_left_alone(void **state)
{
	char *fresh = xasprintf("%s/" FRESH, (char *)*state);
	char *precious = xasprintf("%s/precious", (char *)*state);
	struct stat st;
	int fd = open(precious, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, "12345", 5), 5);
	close(fd);
	assert_int_equal(link(precious, fresh), 0);
	write_schema(*state);
	expect_schema(*state);
	assert_int_equal(stat(precious, &st), 0);
	assert_int_equal(st.st_size, 5);
	free(precious);
	free(fresh);
}

/* DIR/link -> DIR/secret; then what is opened is DIR/link/more. */
static void
make_link(const char *path)
{
	char *secret = xasprintf("%s/secret", path);
	char *linked = xasprintf("%s/link", path);

	assert_int_equal(mkdir(secret, 0700), 0);
	assert_int_equal(symlink(secret, linked), 0);
	free(linked);
	free(secret);
}

static int
open_below(const char *path, const char *name)
{
	char *whole = xasprintf("%s/%s", path, name);
	int fd = dirs_open(whole, 0755, NULL), saved = errno;

	free(whole);
	errno = saved;
	return fd;
}

static void
link_of_another_is_refused(void **state)
{
	char *made = xasprintf("%s/secret/more", (char *)*state);

	make_link(*state);
	/* Others can write there, as to a directory that they own. */
	assert_int_equal(chmod(*state, 0777), 0);
	assert_int_equal(open_below(*state, "link"), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(open_below(*state, "link/more"), -1);
	assert_int_equal(access(made, F_OK), -1);
	free(made);
}

static void
link_in_directory_of_another_is_refused(void **state)
{
	make_link(*state);
	if (geteuid() != 0) {
		print_message("SKIPPED: needs root\n");
		skip();
	}
	assert_int_equal(chown(*state, OTHER, OTHER), 0);
	assert_int_equal(open_below(*state, "link"), -1);
	assert_int_equal(errno, ENOTDIR);
}

static void
own_link_is_followed(void **state)
{
	int fd;

	make_link(*state);
	fd = open_below(*state, "link/more");
	assert_int_not_equal(fd, -1);
	close(fd);
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(fifo_does_not_block),
		TEST(hard_link_is_left_alone),
		TEST(link_of_another_is_refused),
		TEST(link_in_directory_of_another_is_refused),
		TEST(own_link_is_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
