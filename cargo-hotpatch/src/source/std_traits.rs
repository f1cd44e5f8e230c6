//! The standard library's traits and the methods that come with them.

use std::collections::BTreeSet;

/// The methods of these of the standard library's traits.
pub(super) fn methods_of_std(traits: &BTreeSet<String>) -> Vec<String> {
    let known = STD_TRAITS.iter().filter(|(name, _)| traits.contains(*name));
    known
        .flat_map(|(_, methods)| methods.split_whitespace().map(str::to_owned))
        .collect()
}

/// The standard library's traits that are imported by name, with their methods.
pub(super) const STD_TRAITS: &[(&str, &str)] = &[
    ("Add", "add"),
    ("Sub", "sub"),
    ("Mul", "mul"),
    ("Div", "div"),
    ("Rem", "rem"),
    ("Neg", "neg"),
    ("Not", "not"),
    ("AddAssign", "add_assign"),
    ("SubAssign", "sub_assign"),
    ("MulAssign", "mul_assign"),
    ("DivAssign", "div_assign"),
    ("RemAssign", "rem_assign"),
    ("BitAnd", "bitand"),
    ("BitOr", "bitor"),
    ("BitXor", "bitxor"),
    ("BitAndAssign", "bitand_assign"),
    ("BitOrAssign", "bitor_assign"),
    ("BitXorAssign", "bitxor_assign"),
    ("ShlAssign", "shl_assign"),
    ("ShrAssign", "shr_assign"),
    ("GlobalAlloc", "alloc dealloc alloc_zeroed realloc"),
    ("Shl", "shl"),
    ("Shr", "shr"),
    ("Index", "index"),
    ("IndexMut", "index_mut"),
    ("Deref", "deref"),
    ("DerefMut", "deref_mut"),
    ("Drop", "drop"),
    ("RangeBounds", "start_bound end_bound contains"),
    ("Any", "type_id"),
    ("Borrow", "borrow"),
    ("BorrowMut", "borrow_mut"),
    ("ToOwned", "to_owned clone_into"),
    ("Error", "source description cause"),
    ("FromStr", "from_str"),
    ("ToString", "to_string"),
    ("Display", "fmt"),
    ("Debug", "fmt"),
    ("LowerHex", "fmt"),
    ("UpperHex", "fmt"),
    ("Binary", "fmt"),
    ("Octal", "fmt"),
    ("Pointer", "fmt"),
    ("LowerExp", "fmt"),
    ("UpperExp", "fmt"),
    (
        "Write",
        "write write_vectored write_all write_fmt write_str write_char flush by_ref",
    ),
    (
        "Read",
        "read read_vectored read_to_end read_to_string read_exact by_ref bytes chain take",
    ),
    (
        "BufRead",
        "fill_buf consume read_until read_line split lines skip_until",
    ),
    (
        "Seek",
        "seek rewind stream_position stream_len seek_relative",
    ),
    ("IsTerminal", "is_terminal"),
    ("Hash", "hash hash_slice"),
    ("BuildHasher", "build_hasher hash_one"),
    (
        "Hasher",
        "finish write write_u8 write_u16 write_u32 write_u64 write_u128 write_usize write_i8 write_i16 \
                write_i32 write_i64 write_i128 write_isize",
    ),
    ("Future", "poll"),
    ("IntoFuture", "into_future"),
    ("Wake", "wake wake_by_ref"),
    ("ToSocketAddrs", "to_socket_addrs"),
    ("Termination", "report"),
    ("Clone", "clone clone_from"),
    ("Default", "default"),
    ("PartialEq", "eq ne"),
    ("Eq", "eq"),
    ("PartialOrd", "partial_cmp lt le gt ge"),
    ("Ord", "cmp max min clamp"),
    ("From", "from"),
    ("Into", "into"),
    ("TryFrom", "try_from"),
    ("TryInto", "try_into"),
    ("AsRef", "as_ref"),
    ("AsMut", "as_mut"),
    ("FromIterator", "from_iter"),
    ("IntoIterator", "into_iter"),
    ("Extend", "extend"),
    ("ExactSizeIterator", "len is_empty"),
    ("DoubleEndedIterator", "next_back rev rfind rfold nth_back"),
    ("Sum", "sum"),
    ("Product", "product"),
    (
        "Iterator",
        "next size_hint count last nth step_by chain zip map for_each filter filter_map enumerate peekable \
                  skip_while take_while map_while skip take scan flat_map flatten fuse inspect by_ref collect \
                  partition try_fold try_for_each fold reduce all any find find_map position rposition max min \
                  max_by_key max_by min_by_key min_by rev unzip copied cloned cycle sum product cmp partial_cmp eq \
                  ne lt le gt ge is_sorted is_sorted_by is_sorted_by_key",
    ),
    ("Pattern", "into_searcher"),
    ("SliceIndex", "get get_mut index index_mut"),
];
