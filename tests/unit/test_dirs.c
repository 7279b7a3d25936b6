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
#include "supervisor/directory.h"
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

static const struct privdrop	ours;

static int
open_below(const char *path, const char *name)
{
	char *whole = xasprintf("%s/%s", path, name);
	int fd = dirs_open(whole, 0755, &ours, true, DIRS_NEAR), saved = errno;

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

/*** Where nobody else may change a name. ***/

static int
open_own(const char *path, const char *name, char **why)
{
	char *whole = xasprintf("%s/%s", path, name);
	int fd = dirs_open_own(whole, 0755, why), saved = errno;

	free(whole);
	errno = saved;
	return fd;
}

/* Refused for `bad' below `path'; nothing is made. */
static void
expect_refused(const char *path, const char *name, const char *bad,
    const char *what)
{
	char *whole = xasprintf("%s%s", path, bad), *why;
	char *made = xasprintf("%s/%s", path, name);

	assert_int_equal(open_own(path, name, &why), -1);
	assert_int_equal(errno, EPERM);
	assert_non_null(why);
	assert_non_null(strstr(why, whole));
	assert_non_null(strstr(why, what));
	assert_true(access(made, F_OK) == -1 || strstr(name, "new") == NULL);
	free(made);
	free(whole);
	free(why);
}

static void
expect_own(const char *path, const char *name)
{
	char *whole = xasprintf("%s/%s", path, name), *why;
	struct stat opened, there;
	int fd = open_own(path, name, &why);

	assert_int_not_equal(fd, -1);
	assert_null(why);
	assert_int_equal(fstat(fd, &opened), 0);
	assert_int_equal(stat(whole, &there), 0);
	assert_int_equal(opened.st_ino, there.st_ino);
	close(fd);
	free(whole);
}

/* The root of the file system, and /tmp's sticky bit, are well. */
static void
own_is_made(void **state)
{
	make_link(*state);
	expect_own(*state, "a/b//./c/");
	expect_own(*state, "a/b/../new");
	expect_own(*state, "link/more");
	expect_own(*state, "link/../link");
}

static void
own_is_not_for_others_to_write(void **state)
{
	static const mode_t modes[] = {0775, 0757, 0777};
	size_t i;

	make_link(*state);
	for (i = 0; i < NITEMS(modes); i++) {
		assert_int_equal(chmod(*state, modes[i]), 0);
		expect_refused(*state, ".", "", "chmod go-w");
		expect_refused(*state, "new", "", "chmod go-w");
		expect_refused(*state, "link/new", "", "chmod go-w");
	}
	/* Another's name could be taken there, ours could not. */
	assert_int_equal(chmod(*state, 01777), 0);
	expect_refused(*state, ".", "", "directory below it");
	expect_own(*state, "new");
	expect_own(*state, "link/new");
}

/* What a link leads through counts as well. */
static void
own_is_so_behind_links(void **state)
{
	char *open = xasprintf("%s/open", (char *)*state);
	char *linked = xasprintf("%s/through", (char *)*state);

	assert_int_equal(mkdir(open, 0700), 0);
	assert_int_equal(chmod(open, 0777), 0);
	assert_int_equal(symlink("open/../secret", linked), 0);
	make_link(*state);
	expect_own(*state, "secret/new");
	expect_refused(*state, "through/new2", "/open", "chmod go-w");
	free(linked);
	free(open);
}

static void
own_does_not_follow_for_ever(void **state)
{
	char *linked = xasprintf("%s/loop", (char *)*state), *why;

	assert_int_equal(symlink("loop", linked), 0);
	assert_int_equal(open_own(*state, "loop", &why), -1);
	assert_int_equal(errno, ELOOP);
	assert_null(why);
	free(linked);
}

static void
own_is_no_file(void **state)
{
	char *file = xasprintf("%s/file", (char *)*state), *why;

	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(open_own(*state, "file", &why), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_null(why);
	free(file);
}

static void
own_belongs_to_us(void **state)
{
	char *above, *linked;

	if (geteuid() != 0) {
		print_message("SKIPPED: needs root\n");
		skip();
	}
	above = xasprintf("%s/secret", (char *)*state);
	linked = xasprintf("%s/link", (char *)*state);
	make_link(*state);
	assert_int_equal(lchown(linked, OTHER, OTHER), 0);
	expect_refused(*state, "link", "/link", "belongs to");
	assert_int_equal(chown(above, OTHER, OTHER), 0);
	expect_refused(*state, "secret", "/secret", "belongs to");
	expect_refused(*state, "secret/new", "/secret", "belongs to");
	assert_int_equal(chown(above, 0, 0), 0);
	assert_int_equal(chown(*state, OTHER, OTHER), 0);
	expect_refused(*state, "secret/new", "", "belongs to");
	free(linked);
	free(above);
}

/*** Descriptors of directories. ***/

/* What is shared keeps the lock. */
static void
lock_is_shared(void **state)
{
	char *path = xasprintf("%s/one", (char *)*state);
	struct channel_conf conf;
	struct parts parts;
	int fd, other;
	pid_t holder;

	memset(&conf, 0, sizeof(conf));
	snprintf(conf.name, sizeof(conf.name), "one");
	snprintf(conf.archive.directory, sizeof(conf.archive.directory), "%s",
	    (char *)*state);
	conf.archive.enabled = true;
	assert_int_equal(mkdir(path, 0755), 0);
	other = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(dirs_lock(fd, &holder), 0);
	assert_int_equal(dirs_lock(other, &holder), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(holder, getpid());
	parts_init(&parts);
	directory_share(&parts, fd, directory_path_hash(&conf), &conf);
	assert_int_not_equal(parts.archive, -1);
	close(fd);
	assert_int_equal(dirs_lock(other, &holder), -1);
	directory_close(&parts);
	assert_int_equal(dirs_lock(other, &holder), 0);
	close(other);
	free(path);
}

/* As dirs_open() would go, and nothing is made. */
static void
path_leads_to(void **state)
{
	char *path = xasprintf("%s/one", (char *)*state);
	char *moved = xasprintf("%s/moved", (char *)*state);
	int fd;

	assert_int_equal(mkdir(path, 0755), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dirs_leads_to(path, fd, DIRS_NEAR));
	assert_int_equal(rename(path, moved), 0);
	assert_false(dirs_leads_to(path, fd, DIRS_NEAR));
	assert_int_equal(access(path, F_OK), -1);
	assert_true(dirs_leads_to(moved, fd, DIRS_NEAR));
	/* A link of ours is followed; one that others can have made is not. */
	assert_int_equal(symlink(moved, path), 0);
	assert_true(dirs_leads_to(path, fd, DIRS_NEAR));
	assert_int_equal(chmod(*state, 0777), 0);
	assert_false(dirs_leads_to(path, fd, DIRS_NEAR));
	assert_true(dirs_leads_to(moved, fd, DIRS_NEAR));
	assert_int_equal(chmod(*state, 0755), 0);
	close(fd);
	free(path);
	free(moved);
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
		TEST(own_is_made),
		TEST(own_is_not_for_others_to_write),
		TEST(own_is_so_behind_links),
		TEST(own_does_not_follow_for_ever),
		TEST(own_is_no_file),
		TEST(own_belongs_to_us),
		TEST(lock_is_shared),
		TEST(path_leads_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
