/* SPDX-License-Identifier: ISC */
/*
 * What the supervisor may that others may not.  Supervisor only.
 */
#ifndef MCRELAY_CAPABILITIES_H
#define MCRELAY_CAPABILITIES_H

#include <linux/capability.h>
#include <stdbool.h>

/* Whether this process has it (CAP_*) in force. */
bool	capable(unsigned capability);
/* Whether it may start others as somebody else. */
bool	capable_of_users(void);

#endif /* MCRELAY_CAPABILITIES_H */
