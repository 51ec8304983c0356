-- Of each block the first hundred conflicts are kept, and beyond them counted here: what repeats without end fills no disk.
CREATE TABLE conflicts_left_out (
    run       bigint  NOT NULL,
    loader    integer NOT NULL,
    block     integer NOT NULL,
    conflicts bigint  NOT NULL,
    PRIMARY KEY (run, loader, block)
);
