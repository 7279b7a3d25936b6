/* SPDX-License-Identifier: ISC */
/*
 * Two hosts that hear the same: one relays, one stands by.  Unit tests.
 */
#ifndef MCRELAY_TESTS_TURN_HOSTS_H
#define MCRELAY_TESTS_TURN_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/rig.h"
#include "worker/ingest.h"
#include "worker/relay.h"

#define TURN_SIZE	64U

struct host {
	struct rig	rig;
	struct relay	relay;
	struct ingest	ingest;
	int		inputs[2];
};

/* Relays, and stands by. */
extern struct host	 a, b;
/* Who sends to both. */
extern int		 sender[2];
/* That were given. */
extern uint64_t		 orders;

void	may_send(struct host *host, bool may);
int	set_up_with(const struct segment_spec *spec);
int	set_up(void **state);
int	tear_down(void **state);
void	turn(struct host *host);
/* Source 1's are told apart from source 0's by their contents. */
void	send_to(struct host *host, unsigned source, uint64_t number);
void	send_both(uint64_t first, uint64_t end);
bool	does(struct host *host, enum turn_order kind);
/* As supervisors and servers do. */
void	hand_mark(void);
void	hand_over(void);
/* The next that the host has sent, or -1; its source. */
int64_t	next(const struct host *host, unsigned *source);
void	expect(const struct host *host, uint64_t first, uint64_t end);
void	expect_counts(const struct host *host, uint64_t relayed,
	    uint64_t standby);
const struct output_counts	*counts(const struct host *host);
void	send_two_sources(void);
/* Of source 1 from `first' on. */
void	expect_two_sources(uint64_t first);

#endif /* MCRELAY_TESTS_TURN_HOSTS_H */
