//! Keys of minisign, made for these tests and used nowhere else.

/// A secret key without a password, as `minisign -G -W` writes it, and its public key.
pub const KEY: &str = "untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFER1EgDi+LvbGyX7wMqYQhND5RyP46EF9fU73mIyuoMC57ewKlXh+emY+QfmsTk2BjUNjr/6Yqr0FQtTT33zbBCnLBdtIBCQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
";
pub const PUBLIC: &str = "untrusted comment: minisign public key BBF8E20012754414
RWQURHUSAOL4u+mY+QfmsTk2BjUNjr/6Yqr0FQtTT33zbBCnLBdtIBCQ
";

/// The public key of somebody else.
pub const STRANGER: &str = "untrusted comment: minisign public key 504B89983848361F
RWQfNkg4mIlLUNfkZZsQakkQHTVCArQLcD398eKIs5IXJlVS2FTcQGCJ
";

/// A secret key behind a password that is cheap to try, and its public key.
pub const LOCKED: &str = "untrusted comment: minisign encrypted secret key
RWRTY0IyBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcAgAAAAAAAAAAAQAAAAAAAYTj0InOtJZEc/6dAeOs7VA6xQLylyq1tNrLVWmpwzgbGuUL8rCWuYYy+kDORUCVwsvoBMc41Qb+Ir1P4C2LNJOfnwKRGf+HmLjAahqb1KIH9SlHZQiA/Wk/JlIrCEMP4gAcEjLosx+4=
";
pub const LOCKED_PUBLIC: &str = "untrusted comment: minisign public key 0807060504030201
RWQBAgMEBQYHCG56HN0psLeP0Tr0xVmP7/TvKpcWbjym8uT7/M2AUFvx
";
pub const PASSWORD: &str = "correct horse";
