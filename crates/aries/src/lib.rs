//! Write-ahead logging: a group-committed log of recycled segments
