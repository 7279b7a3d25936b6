/* SPDX-License-Identifier: ISC */
/*
 * What a program in the kernel is told, and when it cannot be told.  The
 * program is ours, and so is what channels ask of it: kernel_program.c and
 * kernel_route.c are replaced below.
 */
#include <netinet/in.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/kernel_route.h"
#include "supervisor/supervisor.h"

#define CHANNELS	6
#define PROGRAM		77U

struct kernel_program {
	uint32_t	id;
};

struct fixture {
	struct supervisor	supervisor;
	struct conf		conf;
	struct channel_conf	of[CHANNELS];
	struct destination_conf	relay[CHANNELS];
	struct channel		channel[CHANNELS];
	uint32_t		ifindex[CHANNELS];	/* 0: asks for none */
	/* What the program has, by channel, and where it is. */
	bool			has[CHANNELS];
	uint32_t		at[CHANNELS + 1];
	/* Of its first output, and what it has counted. */
	uint32_t		slot;
	uint8_t			ttl;
	uint64_t		counted[CHANNELS];
	/* A channel's route and an interface that fail, with what. */
	int			refused;
	uint32_t		closed;
	int			error;
	unsigned		sets;
	unsigned		deletes;
};

static struct fixture	*f;

/*** In place of kernel_route.c, kernel_program.c and supervisor.c. ***/

size_t
kernel_route_inputs(const struct channel *channel)
{
	return f->ifindex[channel - f->channel] != 0 ? 1 : 0;
}

bool
kernel_route(const struct channel *channel, size_t input ATTR_UNUSED,
    struct kernel_entry *entry)
{
	size_t i = (size_t)(channel - f->channel);

	memset(entry, 0, sizeof(*entry));
	entry->key.ifindex = f->ifindex[i];
	entry->key.address[0] = (uint8_t)i;
	entry->outputs.there = 1;
	entry->route.targets = 1;
	entry->route.target[0].slot = f->slot;
	entry->route.target[0].ttl = f->ttl;
	return true;
}

uint32_t
kernel_route_interface(const struct channel *channel, size_t input)
{
	return input == 0 ? f->ifindex[channel - f->channel] : UINT32_MAX;
}

bool
kernel_route_hears_marks(const struct channel *channel ATTR_UNUSED)
{
	return true;
}

struct kernel_program *
kernel_program_load(char why[KERNEL_WHY_SIZE] ATTR_UNUSED)
{
	struct kernel_program *program = xcalloc(1, sizeof(*program));

	program->id = PROGRAM;
	return program;
}

void
kernel_program_free(struct kernel_program *program)
{
	free(program);
}

uint32_t
kernel_program_id(const struct kernel_program *program)
{
	return program->id;
}

int
kernel_program_set(const struct kernel_program *program ATTR_UNUSED,
    const struct kernel_key *key,
    const struct kernel_route *route, bool anew)
{
	f->sets++;
	if (anew)
		f->counted[key->address[0]] = 0;
	assert_int_equal(route->target[0].ttl, f->ttl);
	if (key->address[0] == f->refused) {
		errno = f->error;
		return -1;
	}
	f->has[key->address[0]] = true;
	return 0;
}

void
kernel_program_delete(const struct kernel_program *program ATTR_UNUSED,
    const struct kernel_key *key)
{
	f->deletes++;
	f->has[key->address[0]] = false;
}

void
kernel_program_count(const struct kernel_program *program ATTR_UNUSED,
    const struct kernel_key *key, struct kernel_counts *sum)
{
	sum->slot[0].datagrams += f->counted[key->address[0]];
}

int
kernel_program_attach(const struct kernel_program *program, uint32_t ifindex,
    uint32_t handle ATTR_UNUSED)
{
	if (ifindex == f->closed) {
		errno = f->error;
		return -1;
	}
	f->at[ifindex] = program->id;
	return 0;
}

void
kernel_program_detach(uint32_t ifindex, uint32_t handle ATTR_UNUSED)
{
	f->at[ifindex] = 0;
}

uint32_t
kernel_program_at(uint32_t ifindex, uint32_t handle ATTR_UNUSED)
{
	return ifindex <= CHANNELS ? f->at[ifindex] : 0;
}

void
supervisor_notice(struct supervisor *supervisor ATTR_UNUSED)
{
}

/*** Helpers. ***/

static void
update(void)
{
	f->sets = f->deletes = 0;
	kernel_path_update(&f->supervisor);
}

static bool
relays(size_t channel)
{
	return f->channel[channel].kernel_outputs.there == 1 &&
	    f->has[channel] && f->at[f->ifindex[channel]] == PROGRAM;
}

static int
setup(void **state)
{
	const struct sockaddr_in group = {.sin_family = AF_INET,
	    .sin_addr = {htonl(0xefc00001)}};
	size_t i;

	f = *state = xcalloc(1, sizeof(*f));
	f->supervisor.conf = &f->conf;
	f->conf.channel = f->of;
	f->conf.channels = CHANNELS;
	f->refused = -1;
	TAILQ_INIT(&f->supervisor.channels);
	for (i = 0; i < CHANNELS; i++) {
		f->relay[i].kernel = true;
		memcpy(&f->relay[i].address, &group, sizeof(group));
		f->of[i].relay = &f->relay[i];
		f->of[i].relays = 1;
		f->channel[i].conf = &f->of[i];
		f->channel[i].supervisor = &f->supervisor;
		f->ifindex[i] = (uint32_t)(i / 2 + 1);
		TAILQ_INSERT_TAIL(&f->supervisor.channels, &f->channel[i],
		    link);
	}
	update();
	assert_int_equal(f->sets, CHANNELS);
	for (i = 0; i < CHANNELS; i++)
		assert_true(relays(i));
	return 0;
}

static int
teardown(void **state)
{
	size_t i;

	kernel_path_end(&f->supervisor);
	for (i = 0; i <= CHANNELS; i++)
		assert_int_equal(f->at[i], 0);
	free(*state);
	return 0;
}

/*** Tests. ***/

static void
test_only_changes(void **state ATTR_UNUSED)
{
	struct channel *first = &f->channel[0];

	update();
	assert_int_equal(f->sets + f->deletes, 0);
	/* Another order is no change. */
	TAILQ_REMOVE(&f->supervisor.channels, first, link);
	TAILQ_INSERT_TAIL(&f->supervisor.channels, first, link);
	update();
	assert_int_equal(f->sets + f->deletes, 0);
	/* One goes with its interface's last, one stays there alone. */
	f->ifindex[2] = f->ifindex[3] = f->ifindex[5] = 0;
	update();
	assert_int_equal(f->sets, 0);
	assert_int_equal(f->deletes, 3);
	assert_int_equal(f->at[2], 0);
	assert_true(relays(0) && relays(1) && relays(4));
	f->ifindex[3] = 2;
	update();
	assert_int_equal(f->sets, 1);
	assert_true(relays(3));
}

static void
test_refused(void **state ATTR_UNUSED)
{
	char text[KERNEL_WHY_SIZE];

	f->ifindex[1] = 0;
	update();
	f->ifindex[1] = 1;
	f->refused = 1;
	f->error = E2BIG;
	update();
	assert_int_equal(f->channel[1].kernel_outputs.there, 0);
	assert_int_equal(f->channel[1].kernel_failure.error, E2BIG);
	assert_non_null(strstr(kernel_path_why(&f->channel[1], text,
	    sizeof(text)), strerror(E2BIG)));
	assert_true(relays(0));
	assert_int_equal(f->channel[0].kernel_failure.error, 0);
	/* It is tried again, alone; and then it is good. */
	update();
	assert_int_equal(f->sets, 1);
	f->refused = -1;
	update();
	assert_true(relays(1));
	assert_int_equal(f->channel[1].kernel_failure.error, 0);
	update();
	assert_int_equal(f->sets, 0);
}

/* What it was told before is not done, when it cannot be told anew. */
static void
test_not_as_before(void **state ATTR_UNUSED)
{
	kernel_path_leave(&f->channel[2]);
	assert_false(f->has[2]);
	assert_int_equal(f->channel[2].kernel_outputs.there, 0);
	f->has[2] = true;
	f->refused = 2;
	f->error = ENOMEM;
	update();
	assert_false(f->has[2]);
	f->refused = -1;
	update();
	assert_true(relays(2));
}

static void
test_closed_interface(void **state ATTR_UNUSED)
{
	char text[KERNEL_WHY_SIZE];

	f->at[2] = 0;
	f->closed = 2;
	f->error = EINVAL;
	update();
	assert_int_equal(f->channel[2].kernel_outputs.there, 0);
	assert_int_equal(f->channel[3].kernel_failure.ifindex, 2);
	assert_non_null(strstr(kernel_path_why(&f->channel[3], text,
	    sizeof(text)), "takes no program"));
	assert_true(relays(1) && relays(4));
	f->closed = 0;
	update();
	assert_true(relays(2) && relays(3));
	assert_int_equal(f->channel[3].kernel_failure.error, 0);
}

/* Who insists waits for an interface that takes no program, where that is not
 * known yet by trying; which leaves nothing there. */
static void
test_insists(void **state ATTR_UNUSED)
{
	struct channel *channel = &f->channel[2];

	f->relay[2].kernel_only = 1;
	assert_true(kernel_path_ready(channel));
	assert_int_equal(f->at[2], PROGRAM);
	f->ifindex[2] = 5;
	f->closed = 5;
	f->error = EINVAL;
	assert_false(kernel_path_ready(channel));
	assert_true(channel->kernel.kernel);
	assert_int_equal(channel->kernel.error, ENOSYS);
	assert_non_null(strstr(channel->kernel.detail, "takes no program: "));
	f->closed = 0;
	assert_true(kernel_path_ready(channel));
	assert_int_equal(f->at[5], 0);
	/* What is not there yet is waited for as it is. */
	f->ifindex[2] = 0;
	assert_true(kernel_path_ready(channel));
	/* Where it was and fails now a worker does it. */
	f->ifindex[2] = 2;
	f->at[2] = 0;
	f->closed = 2;
	update();
	assert_true(kernel_path_ready(channel));
}

/* Another way to the same output goes on counting, another output does not. */
static void
test_counts(void **state ATTR_UNUSED)
{
	struct kernel_counts sum;

	f->counted[1] = 5;
	f->ttl = 7;
	update();
	assert_int_equal(f->sets, CHANNELS);
	memset(&sum, 0, sizeof(sum));
	kernel_path_counts(&f->channel[1], &sum);
	assert_int_equal(sum.slot[0].datagrams, 5);
	memset(&sum, 0, sizeof(sum));
	kernel_path_counts(&f->channel[2], &sum);
	assert_int_equal(sum.slot[0].datagrams, 0);
	f->slot = 3;
	update();
	memset(&sum, 0, sizeof(sum));
	kernel_path_counts(&f->channel[1], &sum);
	assert_int_equal(sum.slot[0].datagrams, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_changes, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_not_as_before, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_closed_interface, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_insists, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_counts, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
