/* SPDX-License-Identifier: ISC */
/*
 * A fuzz target without a fuzzer: each file of its corpus (FUZZ_CORPUS) as it
 * is, cut off at every byte, and with every byte another one; of larger files
 * at and with CHANGED_MAX bytes, evenly.  The target asserts what must hold.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util.h"

/* So that it does not take long. */
#define CHANGED_MAX	128

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t	data[65536];

static size_t
load(const char *name)
{
	char *path = xasprintf("%s/%s", FUZZ_CORPUS, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	assert_int_not_equal(fd, -1);
	got = read(fd, data, sizeof(data));
	assert_in_range(got, 1, sizeof(data) - 1);
	close(fd);
	free(path);
	return (size_t)got;
}

/* In memory of its own, where one byte too many is noticed. */
static void
try(size_t size)
{
	uint8_t *copy = xmalloc(size > 0 ? size : 1);

	memcpy(copy, data, size);
	assert_int_equal(LLVMFuzzerTestOneInput(copy, size), 0);
	free(copy);
}

static void
try_file(const char *name)
{
	const size_t size = load(name);
	const size_t step = 1 + (size - 1) / CHANGED_MAX;

	try(size);
	for (size_t i = 0; i < size; i += step) {
		try(i);
		data[i] ^= 0x80;
		try(size);
		data[i] ^= 0x81;
		try(size);
		data[i] ^= 0x01;
	}
}

static void
whole_corpus(void **state ATTR_UNUSED)
{
	DIR *directory = opendir(FUZZ_CORPUS);
	struct dirent *entry;
	unsigned files = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.') {
			try_file(entry->d_name);
			files++;
		}
	closedir(directory);
	assert_true(files > 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
