/* SPDX-License-Identifier: ISC */
/*
 * What the tests of the configuration share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/unit/conf_support.h"

static char directory[PATH_MAX];

const char support_accel[] = "{\"type\": \"record\", \"name\": \"Accel\", "
    "\"fields\": [{\"name\": \"time\", \"type\": \"long\"}, "
    "{\"name\": \"x\", \"type\": \"double\"}]}";

int
support_setup(void **state ATTR_UNUSED)
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(directory, sizeof(directory), "%s/mcrelay-conf-XXXXXX",
	    base != NULL ? base : "/tmp");
	if (mkdtemp(directory) == NULL)
		return -1;
	/* A test reads the files as another user. */
	return chmod(directory, 0755);
}

int
support_setup_accel(void **state)
{
	if (support_setup(state) != 0)
		return -1;
	support_write("accel.avsc", support_accel, strlen(support_accel));
	return 0;
}

int
support_teardown(void **state ATTR_UNUSED)
{
	struct dirent *entry;
	DIR *d = opendir(directory);

	if (d == NULL)
		return -1;
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (remove(support_path(entry->d_name)) == -1)
			print_error("%s stays\n", entry->d_name);
	}
	(void)closedir(d);
	return rmdir(directory);
}

const char *
support_path(const char *name)
{
	static char path[PATH_MAX + NAME_MAX + 2];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

void
support_write(const char *name, const char *text, size_t size)
{
	FILE *f = fopen(support_path(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

struct conf *
support_good(const char *text)
{
	struct conf_problems problems = { 0 };
	struct conf *conf;
	size_t i;

	support_write("c.yaml", text, strlen(text));
	conf = conf_load(support_path("c.yaml"), &problems);
	for (i = 0; i < problems.count; i++)
		if (!problems.list[i].warning)
			print_error("%s\n", problems.list[i].text);
	assert_int_equal(problems.errors, 0);
	assert_non_null(conf);
	conf_problems_free(&problems);
	return conf;
}

/* Copies a problem's text, without the file's name, DIR for the directory. */
static void
put_problem(FILE *f, const char *text, const char *file)
{
	const char *p, *found;

	assert_int_equal(strncmp(text, file, strlen(file)), 0);
	text += strlen(file);
	assert_int_equal(*text, ':');
	for (p = text + 1; (found = strstr(p, directory)) != NULL;
	    p = found + strlen(directory))
		(void)fprintf(f, "%.*sDIR", (int)(found - p), p);
	(void)fprintf(f, "%s\n", p);
}

char *
support_problems(const char *name)
{
	struct conf_problems problems = { 0 };
	const char *file = support_path(name);
	struct conf *conf;
	char *text = NULL;
	size_t size, i, errors = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	conf = conf_load(file, &problems);
	for (i = 0; i < problems.count; i++) {
		/* This host's limit and routes: tests of their own look at
		 * these. */
		if (strstr(problems.list[i].text, "rmem_max") != NULL ||
		    strstr(problems.list[i].text, "no route to ") != NULL)
			continue;
		if (problems.list[i].warning)
			(void)fprintf(f, "warning ");
		else
			errors++;
		put_problem(f, problems.list[i].text, file);
	}
	(void)fclose(f);
	assert_int_equal(errors, problems.errors);
	assert_int_equal(conf == NULL, errors > 0);
	conf_free(conf);
	conf_problems_free(&problems);
	return text;
}

void
support_assert_address(const struct sockaddr_storage *address,
    const char *expected)
{
	char text[ADDRESS_TEXT_SIZE];

	(void)format_address((const struct sockaddr *)address, text);
	assert_string_equal(text, expected);
}
