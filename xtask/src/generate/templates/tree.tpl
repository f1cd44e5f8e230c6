type $Link$ = Rc<RefCell<$Node$>>;

#[derive(Debug, Default)]
struct $Node$ {
    name: String,
    size: u64,
    parent: Weak<RefCell<$Node$>>,
    children: Vec<$Link$>,
}

/// A tree of $noun$ folders whose nodes know their parents.
#[derive(Debug, Clone)]
pub struct $Type$ {
    root: $Link$,
}

impl $Type$ {
    pub fn new(name: &str) -> Self {
        let root = $Node$ {
            name: name.to_owned(),
            ..$Node$::default()
        };
        Self {
            root: Rc::new(RefCell::new(root)),
        }
    }

    /// Adds `size` under a path such as `a/b/c`, making what is missing.
    pub fn add(&self, path: &str, size: u64) {
        let mut place = Rc::clone(&self.root);
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let found = place
                .borrow()
                .children
                .iter()
                .find(|child| child.borrow().name == part)
                .cloned();
            place = match found {
                Some(child) => child,
                None => Self::attach(&place, part),
            };
        }
        place.borrow_mut().size += size;
    }

    fn attach(parent: &$Link$, name: &str) -> $Link$ {
        let child = Rc::new(RefCell::new($Node$ {
            name: name.to_owned(),
            size: $num$,
            parent: Rc::downgrade(parent),
            children: Vec::new(),
        }));
        parent.borrow_mut().children.push(Rc::clone(&child));
        child
    }

    pub fn total(&self) -> u64 {
        fn walk(node: &$Link$) -> u64 {
            let node = node.borrow();
            node.size + node.children.iter().map(walk).sum::<u64>()
        }
        walk(&self.root)
    }

    /// The names from the deepest node up to the root.
    pub fn deepest(&self) -> String {
        let mut best = (0, Rc::clone(&self.root));
        let mut open = vec![best.clone()];
        while let Some((depth, node)) = open.pop() {
            let children = node.borrow().children.clone();
            open.extend(children.into_iter().map(|child| (depth + 1, child)));
            if depth > best.0 {
                best = (depth, node);
            }
        }
        let mut names = Vec::new();
        let mut place = Some(best.1);
        while let Some(node) = place {
            names.push(node.borrow().name.clone());
            place = node.borrow().parent.upgrade();
        }
        names.join(" < ")
    }
}

fn $func$_total(seed: u64) -> u64 {
    let tree = $Type$::new("$word$");
//@each paths
    tree.add("$path$", seed % $value$);
//@end
    tree.add(&format!("$word$/{}", seed % $small$), $num$);
    let other = tree.clone();
    mix(tree.total(), other.deepest().len() as u64)
}
